"""``GET /ignition/MAC``: a machine's config. Public; it holds no secret."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from nodisk.plan import inventory
from nodisk.server.handlers.common import Problem, address_of, app_state_of, mac_of


async def ignition(request: Request) -> Response:
    """The config of a machine of the lab, or of one that is being measured; 404 for any other."""
    app_state = app_state_of(request)
    mac = mac_of(request.path_params["mac"])
    seconds = app_state.database.inventories.boots(mac, address_of(request))
    if seconds is not None:
        text = inventory.config(app_state.texts.lab, app_state.texts.facts, mac, seconds)
        return Response(text, media_type="application/json")
    machine = app_state.machine(mac)
    if machine is None:
        raise Problem(404, "lab.yaml has no machine of this MAC")
    config = app_state.texts.ignition(machine)
    if request.method == "GET" and address_of(request) == machine.address:
        app_state.database.serve(mac, {"ignition": config.packed})
    return Response(config.body, media_type="application/json")
