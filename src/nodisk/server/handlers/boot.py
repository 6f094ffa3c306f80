"""``GET /boot.ipxe`` and ``GET /boot/MAC.ipxe``: iPXE's scripts, and where a boot's nonce is minted."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, address_of, desk_of, mac_of, source_of
from nodisk.values import Stage

_WHO = ("manufacturer", "product", "serial", "memsize", "platform")


async def entry(request: Request) -> Response:
    """The script that chains to the one of the card that booted."""
    return PlainTextResponse(desk_of(request).texts.entry())


async def script(request: Request) -> Response:
    """A machine's own script; with a nonce if the lab is armed and the machine itself asks.

    Anybody may read the script, but only the machine's address gets (and so replaces) the machine's nonce. An unknown
    machine gets its menu.
    """
    desk, address = desk_of(request), address_of(request)
    file = request.path_params["file"]
    if not file.endswith(".ipxe"):
        raise Problem(404, "not found")
    mac = mac_of(file.removesuffix(".ipxe"))
    machine = desk.machine(mac)
    if machine is None:
        if request.method == "GET" and desk.limits.unknown(mac):
            text = _who(request) or "asks for its boot script"
            desk.database.record(Kind.UNKNOWN, text, source=source_of(request), mac=mac)
        return PlainTextResponse(desk.texts.unknown(mac))
    if request.method != "GET" or address is None:
        return PlainTextResponse(desk.texts.script(machine, None))
    if address != machine.address:
        desk.alarm(
            "script",
            f"{address} asks for the boot script of {machine.name} ({machine.address}); it got no nonce",
            request=request,
            mac=mac,
        )
        return PlainTextResponse(desk.texts.script(machine, None))
    nonce = desk.database.mint(mac, machine.role, address)
    name = str(machine.name)
    detail = "" if nonce else "the lab is not armed: this boot can't enrol"
    if desk.limits.sighting(mac, Stage.IPXE):
        desk.database.record(Kind.STAGE, detail, source=str(address), mac=mac, machine=name, stage=Stage.IPXE)
    desk.database.reset_traffic(mac)
    desk.database.serve(mac, {"script": desk.texts.script(machine, None), **desk.texts.daemons})
    return PlainTextResponse(desk.texts.script(machine, nonce))


def _who(request: Request) -> str:
    """What an unknown machine says of itself, in printable ASCII."""
    said = (f"{word} {request.query_params[word]}" for word in _WHO if request.query_params.get(word))
    return re.sub(r"[^ -~]", "?", ", ".join(said))[:300]
