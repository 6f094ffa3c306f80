"""``GET /boot.ipxe`` and ``GET /boot/MAC.ipxe``: iPXE's scripts, and where a boot's nonce is minted."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, address_of, app_state_of, mac_of, source_of
from nodisk.values import Stage

_WHO = ("manufacturer", "product", "serial", "memsize", "platform")


async def entry(request: Request) -> Response:
    """The script that chains to the one for the NIC that booted."""
    return PlainTextResponse(app_state_of(request).texts.entry())


async def script(request: Request) -> Response:
    """A machine's own script; with a nonce if the lab is armed and the machine itself asks.

    Anybody may read the script, but only the machine's address gets (and so replaces) the machine's nonce. An unknown
    machine gets its menu.
    """
    app_state, address = app_state_of(request), address_of(request)
    file = request.path_params["file"]
    if not file.endswith(".ipxe"):
        raise Problem(404, "not found")
    mac = mac_of(file.removesuffix(".ipxe"))
    machine = app_state.machine(mac)
    if machine is None:
        if request.method == "GET" and app_state.limits.unknown(mac):
            text = _who(request) or "asks for its boot script"
            app_state.database.record(Kind.UNKNOWN, text, source=source_of(request), mac=mac)
        return PlainTextResponse(app_state.texts.unknown(mac))
    if request.method != "GET" or address is None:
        return PlainTextResponse(app_state.texts.script(machine, None))
    if address != machine.address:
        app_state.alarm(
            "script",
            f"{address} asks for the boot script of {machine.name} ({machine.address}); it got no nonce",
            request=request,
            mac=mac,
        )
        return PlainTextResponse(app_state.texts.script(machine, None))
    nonce = app_state.database.mint(mac, machine.role, address)
    name = str(machine.name)
    detail = "" if nonce else "the lab is not armed: this boot can't enrol"
    if app_state.limits.sighting(mac, Stage.IPXE):
        app_state.database.record(Kind.STAGE, detail, source=str(address), mac=mac, machine=name, stage=Stage.IPXE)
    app_state.database.reset_traffic(mac)
    app_state.database.serve(mac, {"script": app_state.texts.script(machine, None), **app_state.texts.daemons})
    return PlainTextResponse(app_state.texts.script(machine, nonce))


def _who(request: Request) -> str:
    """What an unknown machine reports about itself, in printable ASCII."""
    said = (f"{word} {request.query_params[word]}" for word in _WHO if request.query_params.get(word))
    return re.sub(r"[^ -~]", "?", ", ".join(said))[:300]
