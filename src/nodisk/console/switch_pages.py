"""Switching machines: which ones a request means, and the way from there."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.console import errand_pages, orders
from nodisk.console.common import Console, signed_in
from nodisk.console.orders import Order
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem
from nodisk.spec.model import Lab


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done; nothing is yet."""
    order = order_of(console.lab, request.query_params)
    return errand_pages.confirm(request, session, order, address=address(order))


async def switch(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    return await errand_pages.begin(console, request, session, order_of(console.lab, request.query_params))


def order_of(lab: Lab, query: QueryParams) -> Order:
    """The order of an address; raises Problem 400 if it is none."""
    found = orders.order(
        lab,
        query.get("action", ""),
        query.getlist("machine"),
        row=query.get("row", ""),
        every=query.get("all", "") == "1",
    )
    if found is None:
        raise Problem(400, "tick machines, and choose what to do with them")
    return found


def address(order: Order) -> str:
    """Where an order is confirmed: the same machines by name, whatever the room is then."""
    if order.everything:
        return "/switch?" + urlencode({"action": str(order.action), "all": "1"})
    return "/switch?" + urlencode([("action", str(order.action)), *(("machine", name) for name in order.machines)])


ROUTES = (
    Route("/switch", signed_in(confirm, Right.SWITCH)),
    Route("/switch", signed_in(switch, Right.SWITCH), methods=["POST"]),
)
