"""``POST /inventory``: what a machine measured of itself in an inventory boot. It is checked, kept and shown."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.plan.daemons_nginx import MAX_EVENT
from nodisk.records import hardware
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, address_of, app_state_of, body_of, mac_of


async def report(request: Request) -> Response:
    """Keep a report that comes with the nonce of that very boot, from its address; 403 and an alarm for any other."""
    app_state, address = app_state_of(request), address_of(request)
    if address is None:
        raise Problem(403, "only a machine that is being measured may report")
    body = await body_of(request, MAX_EVENT)
    mac = mac_of(request.headers.get("nodisk-mac", ""))
    try:
        found = hardware.parse(body)
    except ValueError as error:
        raise Problem(400, f"not a report: {error}") from None
    if not app_state.database.inventories.take(mac, request.headers.get("nodisk-nonce", "")[:200], address, found):
        what = f"{address} reports an inventory of {mac} without the nonce of this boot"
        app_state.alarm("inventory", what, request=request, mac=mac)
        raise Problem(403, "this nonce is not that of this boot, or was used before")
    machine = app_state.machine(mac)
    text = f"measured: {found.memory_mib} MiB, {found.cpu}" + (
        "; its RAM FAILED the test" if found.memory_test.errors else ""
    )
    name = None if machine is None else str(machine.name)
    app_state.database.record(Kind.NODE, text, source=str(address), mac=mac, machine=name)
    return PlainTextResponse("noted\n")
