"""The same by a program: what pages show, as JSON, and the orders that they take.

A program shows a token of its own, which no browser sends by itself; so what changes something takes a token alone, and
no page of another site can make a browser ask for it. ``api_document`` describes all of it.
"""

from __future__ import annotations

from starlette.routing import Route

from nodisk.console import api_classes, api_machines
from nodisk.console.api_endpoint import Endpoint, order_
from nodisk.console.common import signed_in
from nodisk.console.rights import Right

ENDPOINTS = (
    *api_machines.ENDPOINTS,
    *api_classes.ENDPOINTS,
    Endpoint(
        "GET", "/api/orders/{number}", Right.CLASSES, order_, "How far an order is, and what came of it.",
        "nodisk events",
    ),
)  # fmt: skip

ROUTES = tuple(Route(one.path, signed_in(one.handler, one.right), methods=[one.method]) for one in ENDPOINTS)
