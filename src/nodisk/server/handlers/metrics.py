"""``/apis/metrics.k8s.io/v1beta1``: what ``kubectl top`` and autoscalers ask, by way of an API server.

nginx has checked the client's certificate against the aggregation layer's authority. The API server has decided whether
its user may ask that; here only whether it is an API server that asks, in the name of somebody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodisk.kube.errors import ApiError, BadRequest
from nodisk.plan import cluster_metrics
from nodisk.plan.daemons_nginx import CLIENT_SUBJECT
from nodisk.server import usage
from nodisk.server.handlers.common import app_state_of
from nodisk.server.metrics import Choice

ALLOWED = "CN=front-proxy-client"
"""The subject that API servers show: kubeadm's ``--requestheader-allowed-names``."""
USER = "X-Remote-User"
BASE = f"/apis/{cluster_metrics.GROUP}/{cluster_metrics.VERSION}"
_REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed"}


class _Refused(Exception):
    """An answer of the API that is no object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _checked(handler: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            if request.headers.get(CLIENT_SUBJECT) != ALLOWED:
                raise _Refused(403, "this is for the cluster's API servers")
            if not request.headers.get(USER):
                raise _Refused(401, f"in whose name? {USER} is missing")
            if request.query_params.get("watch") in ("1", "true"):
                raise _Refused(405, "metrics can't be watched")
            return JSONResponse(await handler(request))
        except _Refused as error:
            return JSONResponse(_status(error.code, str(error)), error.code)

    return answer


def _status(code: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "ServiceUnavailable"),
        "code": code,
    }


@_checked
async def _resources(_: Request) -> dict[str, Any]:
    kinds = (("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": usage.API_VERSION,
        "resources": [
            {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
            for name, kind, namespaced in kinds
        ],
    }


async def _found(request: Request, kind: str) -> list[dict[str, Any]]:
    """The objects that the request means by its path and selectors."""
    app_state, namespace = app_state_of(request), request.path_params.get("namespace")
    if app_state.kubelets is None:
        raise _Refused(404, "this lab has no cluster")
    readings = await app_state.kubelets.readings()
    found = usage.nodes(readings) if kind == "Node" else usage.pods(readings, namespace)
    labels, fields = (request.query_params.get(key) or None for key in ("labelSelector", "fieldSelector"))
    if (name := request.path_params.get("name")) is not None:
        return [item for item in found if item["metadata"]["name"] == name]
    if labels is None and fields is None:
        return found
    try:
        chosen = await app_state.chosen(Choice(kind, namespace, labels, fields))
    except ApiError as error:
        raise _Refused(400 if isinstance(error, BadRequest) else 503, error.message) from error
    return [item for item in found if (item["metadata"].get("namespace", ""), item["metadata"]["name"]) in chosen]


def _list(kind: str) -> Callable[[Request], Awaitable[Response]]:
    @_checked
    async def answer(request: Request) -> dict[str, Any]:
        items = await _found(request, kind)
        return {"kind": f"{kind}MetricsList", "apiVersion": usage.API_VERSION, "metadata": {}, "items": items}

    return answer


def _one(kind: str) -> Callable[[Request], Awaitable[Response]]:
    @_checked
    async def answer(request: Request) -> dict[str, Any]:
        if found := await _found(request, kind):
            return found[0]
        raise _Refused(404, f"no metrics of the {kind.lower()} {request.path_params['name']} are known")

    return answer


ROUTES = (
    Route(BASE, _resources),
    Route(f"{BASE}/nodes", _list("Node")),
    Route(f"{BASE}/nodes/{{name}}", _one("Node")),
    Route(f"{BASE}/pods", _list("Pod")),
    Route(f"{BASE}/namespaces/{{namespace}}/pods", _list("Pod")),
    Route(f"{BASE}/namespaces/{{namespace}}/pods/{{name}}", _one("Pod")),
)
