"""The HTTP application behind nginx: routes, and nothing else."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from nodisk.server.handlers import (
    boot,
    class_registry,
    enrol,
    event,
    ignition,
    inventory,
    layers,
    metrics,
    peers,
    policies,
    start,
)
from nodisk.server.handlers.common import AppState, Problem, problem_response


async def health(_: Request) -> Response:
    """The path of the supervisor's probe; nginx doesn't route it."""
    return PlainTextResponse("ok\n")


def application(app_state: AppState) -> Starlette:
    """The ASGI application. Only nginx reaches it, over a unix socket, so it trusts nginx' X-Real-IP."""
    app = Starlette(
        routes=[
            Route("/boot.ipxe", boot.entry),
            Route("/boot/{file}", boot.script),
            Route("/grub/{file}", boot.grub),
            Route("/ignition/{mac}", ignition.ignition),
            Route("/event", event.event, methods=["POST"]),
            Route("/peers", peers.peers),
            Route("/peers/v2/{name:path}/blobs/{digest}", layers.layer),
            Route("/direct/v2/{name:path}/blobs/{digest}", layers.direct),
            Route("/class-registry/asked", class_registry.answer),
            Route("/class-registry/failed", class_registry.failed),
            Route("/inventory", inventory.report, methods=["POST"]),
            Route("/", start.start),
            Route("/kubectl", start.kubectl),
            Route("/kubectl.sha256", start.checksum),
            Route("/enrol", enrol.enrol, methods=["POST"]),
            Route("/policies", policies.policies),
            *metrics.ROUTES,
            Route("/healthz", health),
        ],
        exception_handlers={Problem: problem_response},
    )
    app.state.app_state = app_state
    return app
