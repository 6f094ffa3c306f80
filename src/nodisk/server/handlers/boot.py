"""``/boot.ipxe`` and ``/boot/MAC.ipxe``, ``/grub/grub.cfg`` and ``/grub/MAC.cfg``: where a boot's nonce is minted.

iPXE and GRUB (Secure Boot) get the same by the same rules, in the language of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, address_of, app_state_of, mac_of, source_of
from nodisk.spec.model import Machine
from nodisk.values import Mac, Stage

_WHO = ("manufacturer", "product", "serial", "memsize", "platform")


async def entry(request: Request) -> Response:
    """The script that chains to the one of the card that booted."""
    return PlainTextResponse(app_state_of(request).texts.entry())


async def script(request: Request) -> Response:
    """A machine's own script for iPXE."""
    texts = app_state_of(request).texts
    return _answer(request, ".ipxe", texts.script, texts.unknown, "script")


async def grub(request: Request) -> Response:
    """GRUB's: the configuration that it looks for itself, which asks for the machine's own."""
    texts = app_state_of(request).texts
    if request.path_params["file"] == "grub.cfg":
        return PlainTextResponse(texts.grub_entry())
    return _answer(request, ".cfg", texts.grub_script, texts.grub_unknown, "grub")


def _answer(
    request: Request,
    suffix: str,
    known: Callable[[Machine, str | None], str],
    unknown: Callable[[Mac], str],
    part: str,
) -> Response:
    """A machine's own script; with a nonce if the lab is armed and the machine itself asks.

    Anybody may read the script, but only the machine's address gets (and so replaces) the machine's nonce. An unknown
    machine gets its menu. ``part`` is the script's name in ``nodisk render``.
    """
    app_state, address = app_state_of(request), address_of(request)
    file = request.path_params["file"]
    if not file.endswith(suffix):
        raise Problem(404, "not found")
    mac = mac_of(file.removesuffix(suffix))
    machine = app_state.machine(mac)
    if machine is None:
        if request.method == "GET" and app_state.limits.unknown(mac):
            text = _who(request) or "asks for its boot script"
            app_state.database.record(Kind.UNKNOWN, text, source=source_of(request), mac=mac)
        return PlainTextResponse(unknown(mac))
    if request.method != "GET" or address is None:
        return PlainTextResponse(known(machine, None))
    if address != machine.address:
        app_state.alarm(
            "script",
            f"{address} asks for the boot script of {machine.name} ({machine.address}); it got no nonce",
            request=request,
            mac=mac,
        )
        return PlainTextResponse(known(machine, None))
    nonce = app_state.database.mint(mac, machine.role, address)
    name = str(machine.name)
    said = ("by GRUB" if part == "grub" else "", "" if nonce else "the lab is not armed: this boot can't enrol")
    detail = "; ".join(filter(None, said))
    if app_state.limits.sighting(mac, Stage.IPXE):
        app_state.database.record(Kind.STAGE, detail, source=str(address), mac=mac, machine=name, stage=Stage.IPXE)
    app_state.database.reset_traffic(mac)
    app_state.database.serve(mac, {part: known(machine, None), **app_state.texts.daemons})
    return PlainTextResponse(known(machine, nonce))


def _who(request: Request) -> str:
    """What an unknown machine says of itself, in printable ASCII."""
    said = (f"{word} {request.query_params[word]}" for word in _WHO if request.query_params.get(word))
    return re.sub(r"[^ -~]", "?", ", ".join(said))[:300]
