"""Switching machines: a page that asks once more, with their number and the equal command; then what came of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.console import orders, security
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.errands import Errand
from nodisk.console.orders import Order
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem
from nodisk.spec.model import Lab


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done; nothing is yet."""
    order = order_of(console.lab, request.query_params)
    return page(request, "confirm.html", session, order=order, address=address(order))


async def switch(console: Console, request: Request, session: Entry) -> Response:
    """Do it, if it is still what was confirmed; leads to what comes of it."""
    security.check_origin(request)
    form = await security.form_of(request)
    security.check_form(form, token_of(request))
    order = order_of(console.lab, request.query_params)
    if form.get("count") != str(len(order.machines)):
        raise Problem(409, f"these are {len(order.machines)} machines now: go back, and look again")
    who = f"{session.name} ({session.role})"

    def tell(errand: Errand) -> None:
        console.log(request, f"{who}: {order.line}: {orders.summary(errand.came or ())}")

    errand = console.errands.begin(order, who, tell)
    console.log(request, f"{who}: {order.line}")
    return RedirectResponse(f"/switched/{errand.number}", 303)


async def switched(console: Console, request: Request, session: Entry) -> Response:
    """How far an order is, and what came of it."""
    errand = console.errands.find(request.path_params["number"])
    if errand is None:
        raise Problem(404, "that order is forgotten, or there never was one: see the activity")
    return page(request, "switched.html", session, **values(errand))


def values(errand: Errand) -> dict[str, Any]:
    """What the changing part of an order's page shows."""
    return {"errand": errand, "counts": orders.counts(errand.came or ())}


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
    Route("/switched/{number}", signed_in(switched, Right.SWITCH)),
)
