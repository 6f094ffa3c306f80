"""``/class-registry/asked``: nginx asks it of each request to the class registry (``auth_request``).

204: it may pass. 401, 403: it may not, with the reason in a header, which nginx tells the client.

``/class-registry/failed``: what nginx tells the client of a request that passed and failed.
"""

from __future__ import annotations

import asyncio
import hashlib

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nodisk.plan.daemons_nginx import REASON
from nodisk.server.class_registry import Asked, Away, Right, asked, token_of
from nodisk.server.handlers.common import AppState, address_of, app_state_of, source_of

_LOGIN = "log in: docker login, with the token of your kubeconfig as the password"


async def answer(request: Request) -> Response:
    """Whether the request in the headers may pass."""
    app_state = app_state_of(request)
    want = asked(request.headers.get("x-original-method", ""), request.headers.get("x-original-uri", ""))
    if app_state.class_rights is None or want is None:
        return _refused(403, "there is nothing at this path: an image is called NAMESPACE/NAME")
    address = address_of(request)
    machine = address is not None and app_state.texts.lab.by_address(address) is not None
    if machine and want.right is Right.PULL:
        return Response(status_code=204)  # kubelet pulls for everybody, and has nobody's password
    token = token_of(request.headers.get("authorization", ""))
    if token is None:
        return _refused(401, _LOGIN)
    try:
        return await _decide(app_state, want, token, source_of(request))
    except Away:
        return _refused(403, "the cluster's API does not answer, so nobody can say who you are: try again in a minute")


async def failed(request: Request) -> Response:
    """Why docker-registry could not do it, in the form of the OCI distribution specification."""
    full = app_state_of(request).class_fullness
    why = None if full is None else await asyncio.to_thread(full.failed)
    if full is None or why is None:
        return _error(500, "UNKNOWN", "the registry could not do that: its log on the server says why")
    return _error(503, "UNAVAILABLE", why) if full.trouble else _error(403, "DENIED", why)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status)


async def _decide(app_state: AppState, want: Asked, token: str, source: str) -> Response:
    rights, full = app_state.class_rights, app_state.class_fullness
    if rights is None or full is None:
        raise Away
    # Anybody's namespace will do where the question is only whose token it is.
    wanted = [(want.namespace or "default", want.right)]
    if want.source is not None and want.source != want.namespace:
        wanted.append((want.source, Right.PULL))
    for namespace, right in wanted:
        if not rights.known(token, namespace, right) and not _patient(app_state, token, source):
            return _refused(403, "too many requests: try again in a minute")
        may = await rights.may(token, namespace, right)
        if may is None:
            app_state.limits.reviews.allows(source)
            return _refused(401, _LOGIN)
        if not may and want.namespace is not None:
            verb = "push to" if right is Right.PUSH else "pull from"
            return _refused(403, f"you may not {verb} {namespace}")
    if want.adds and want.namespace is not None and (problem := await full.problem(want.namespace)) is not None:
        return _refused(403, problem)
    if want.right is Right.PUSH and not await app_state.class_changes.begin():
        return _refused(403, "the registry is being tidied: try again in a minute")
    return Response(status_code=204)


def _patient(app_state: AppState, token: str, source: str) -> bool:
    """Whether the API server is asked once more: a token has its own measure, for a whole class may be behind one
    address, and an address has one for tokens that nobody knows, which keeps nobody out whose token is known.
    """
    limit, rights = app_state.limits.reviews, app_state.class_rights
    known = rights is not None and rights.good(token)
    return (known or limit.would_allow(source)) and limit.allows(hashlib.sha256(token.encode()).hexdigest())


def _refused(status: int, reason: str) -> Response:
    return Response(status_code=status, headers={REASON: reason})
