"""``POST /event``: a machine reports its progress, with what it printed last. It is only recorded."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.plan.daemons_nginx import MAX_EVENT
from nodisk.records import printed
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, address_of, app_state_of, body_of, mac_of
from nodisk.values import Stage

_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_MIB = 1 << 26


async def event(request: Request) -> Response:
    """Record it if it comes from that machine's own address."""
    app_state, address = app_state_of(request), address_of(request)
    if address is None:
        raise Problem(403, "only a machine of the lab may report")
    form = _form(await body_of(request, MAX_EVENT))
    mac = mac_of(form.get("mac", ""))
    machine = app_state.machine(mac)
    if app_state.database.inventories.boots(mac, address) is not None:
        return PlainTextResponse("measured, not recorded\n")  # its boot is no way to Ready
    if machine is None or machine.address != address:
        what = f"{address} reports an event of {machine.name if machine else mac}"
        app_state.alarm("event", what, request=request, mac=mac)
        raise Problem(403, "only the machine itself may report")
    if not form.get("stage") and form.get("lines"):  # nothing has changed but what it prints
        if not app_state.limits.lines(mac):
            raise Problem(429, "too many lines; wait some seconds")
        app_state.database.printed.put(mac, printed.lines(form["lines"]))
        return PlainTextResponse("noted\n")
    try:
        stage = Stage(form.get("stage", ""))
    except ValueError as error:
        raise Problem(400, f"stage must be one of {', '.join(Stage)}") from error
    if not app_state.limits.report(mac, stage):
        raise Problem(429, f"too many events {stage}; wait a second")
    boot_id = form.get("boot_id") or None
    if boot_id is not None and not _BOOT_ID.fullmatch(boot_id):
        raise Problem(400, "boot_id is not what /proc/sys/kernel/random/boot_id holds")
    ram = _ram(form["ram"]) if form.get("ram") else None
    detail = printed.visible(form.get("detail", ""))
    app_state.database.record(
        Kind.STAGE, detail, source=str(address), mac=mac, machine=str(machine.name), boot_id=boot_id, stage=stage
    )
    app_state.database.printed.put(mac, printed.lines(form.get("lines", "")))
    if ram is not None:
        app_state.database.set_ram(mac, ram)
    return PlainTextResponse("noted\n")


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(
                body.decode("ascii"), keep_blank_values=True, max_num_fields=20, encoding="utf-8", errors="replace"
            )
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Problem(400, "not an URL-encoded form") from error


def _ram(text: str) -> dict[str, int]:
    """Parse MiB by kind; raises Problem 400 for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "ram is not JSON") from error
    if not isinstance(value, dict) or len(value) > 20:
        raise Problem(400, "ram must be an object of at most 20 numbers")
    for name, number in value.items():
        if not re.fullmatch(r"[a-z_]{1,20}", name) or type(number) is not int or not 0 <= number < _MAX_MIB:
            raise Problem(400, "ram must hold whole MiB by name")
    return value
