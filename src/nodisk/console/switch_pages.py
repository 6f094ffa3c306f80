"""What is done to machines: which ones a request means, what else it needs to say, and the way from there."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.console import boot_orders, errand_pages, orders, remark_orders
from nodisk.console.boot_orders import BootAction, BootOrder
from nodisk.console.common import Console, page, signed_in
from nodisk.console.orders import Order
from nodisk.console.remark_orders import NoteAction, NoteOrder
from nodisk.console.rights import Right
from nodisk.records import remarks
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem
from nodisk.spec import menu
from nodisk.spec.model import Lab

AnyMachineOrder = Order | BootOrder | NoteOrder
EFFECTS = {str(action): text for action, text in (boot_orders.EFFECTS | remark_orders.EFFECTS).items()}
"""What is said before it is confirmed; switching says it by its name."""
ASKS = {str(BootAction.ONCE): "entry", str(BootAction.ALWAYS): "entry", str(NoteAction.BROKEN): "note"}
"""Action → what has to be said besides."""


def actions(lab: Lab) -> tuple[str, ...]:
    """Everything that can be done to machines of a lab."""
    return (*orders.actions(lab), *BootAction, *NoteAction)


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done, or what is still to be said; nothing is done yet."""
    query = request.query_params
    field = ASKS.get(query.get("action", ""))
    if field is not None and field not in query:
        return _ask(console, request, session, field)
    order = order_of(console.lab, query)
    effect = EFFECTS.get(str(order.action), "")
    return errand_pages.confirm(request, session, order, address=address(order), effect=effect)


def _ask(console: Console, request: Request, session: Entry, field: str) -> Response:
    """The page that asks for what is missing."""
    query = request.query_params
    found = _meant(console.lab, query)
    if not found:
        raise Problem(400, "tick machines, and choose what to do with them")
    return page(
        request,
        "switch_ask.html",
        session,
        action=query["action"],
        field=field,
        machines=found,
        hidden=_machines(found, everything=len(found) == len(console.lab.machines)),
        entries=menu.names(console.lab),
        longest=remarks.LONGEST,
    )


async def switch(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    return await errand_pages.begin(console, request, session, order_of(console.lab, request.query_params))


def order_of(lab: Lab, query: QueryParams) -> AnyMachineOrder:
    """The order of an address; raises Problem 400 if it is none."""
    action, named, row, every = query.get("action", ""), query.getlist("machine"), query.get("row", ""), _every(query)
    found: AnyMachineOrder | None
    why = "tick machines, and choose what to do with them"
    if action in set(BootAction):
        found = boot_orders.order(lab, action, named, query.get("entry", ""), row=row, every=every)
        why = "choose machines of the lab, and an entry of its menu that asks for no password"
    elif action in set(NoteAction):
        try:
            found = remark_orders.order(lab, action, named, query.get("note", ""), row=row, every=every)
        except ValueError as error:
            raise Problem(400, str(error)) from error
    else:
        found = orders.order(lab, action, named, row=row, every=every)
    if found is None:
        raise Problem(400, why)
    return found


def address(order: AnyMachineOrder) -> str:
    """Where an order is confirmed: the same machines by name, whatever the room is then."""
    said = [("action", str(order.action))]
    if isinstance(order, BootOrder):
        said.append(("entry", order.entry))
    elif isinstance(order, NoteOrder):
        said.append(("note", order.note))
    return "/switch?" + urlencode([*said, *_machines(order.machines, everything=order.everything)])


def _machines(names: tuple[str, ...], *, everything: bool) -> list[tuple[str, str]]:
    return [("all", "1")] if everything else [("machine", name) for name in names]


def _meant(lab: Lab, query: QueryParams) -> tuple[str, ...]:
    return orders.meant(lab, query.getlist("machine"), row=query.get("row", ""), every=_every(query))


def _every(query: QueryParams) -> bool:
    return query.get("all", "") == "1"


ROUTES = (
    Route("/switch", signed_in(confirm, Right.SWITCH)),
    Route("/switch", signed_in(switch, Right.SWITCH), methods=["POST"]),
)
