"""``GET /peers/v2/NAME/blobs/sha256:HEX``: containerd asks here first for a layer, and then the registry itself.

The registry's own requests for layers are told, too (``/direct``, by nginx alone).
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from nodisk.server.handlers.common import Problem, address_of, app_state_of
from nodisk.server.layers import layer_url

_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_QUERY = re.compile(r"(?:ns=[A-Za-z0-9.:%_-]{1,255})?")


async def layer(request: Request) -> Response:
    """A redirection to a machine of lab.yaml that has the layer; 404: ask the registry, which decides as ever.

    Only what the registry gives to everybody who asks: a request with credentials is none of these. What comes from
    the other machine is no more trusted than that machine: containerd compares the digest.
    """
    app_state, asker = app_state_of(request), address_of(request)
    name, digest = request.path_params["name"], _DIGEST.fullmatch(request.path_params["digest"])
    layers = app_state.layers
    if layers is None or request.method != "GET" or "authorization" in request.headers:
        raise Problem(404, "the registry itself")
    if digest is None or len(name) > 255 or ".." in name or "//" in name or not _NAME.fullmatch(name):
        raise Problem(404, "no layer")
    if asker is None or app_state.texts.lab.by_address(asker) is None:
        raise Problem(404, "no machine of this lab")
    query = request.url.query
    size = await app_state.size_of(f"/v2/{name}/blobs/{digest[0]}", query) if _QUERY.fullmatch(query) else None
    giver = await layers.giver(digest[1], size, asker, request.is_disconnected) if size is not None else None
    if giver is None:
        raise Problem(404, "the registry itself")
    return RedirectResponse(layer_url(giver, digest[1]), 307, {"Cache-Control": "no-store"})


async def direct(request: Request) -> Response:
    """nginx tells of each layer that the registry is asked for; the answer goes to nobody."""
    app_state, asker = app_state_of(request), address_of(request)
    digest = _DIGEST.fullmatch(request.path_params["digest"])
    if app_state.layers is not None and request.method == "GET" and digest is not None and asker is not None:
        app_state.layers.direct(digest[1], asker)
    return Response(status_code=204)
