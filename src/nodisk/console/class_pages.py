"""Classes, an administrator's all or a teacher's own, and orders that change one. Its page is in ``class_home``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.classes import codes, expiry, handouts, record
from nodisk.classes.record import Class
from nodisk.console import class_orders, code_orders, errand_pages, rights
from nodisk.console.class_orders import ClassAction, ClassOrder
from nodisk.console.code_orders import CodeAction, CodeOrder
from nodisk.console.common import Console, page, signed_in
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.records.messages import Message
from nodisk.server.handlers.common import Problem

EFFECTS = class_orders.EFFECTS | code_orders.EFFECTS


async def classes(console: Console, request: Request, session: Entry) -> Response:
    """All classes of somebody."""
    now = record.now()
    found = [(one, expiry.due(one, now)) for one in rights.theirs(session, record.load_all(console.context.state))]
    return page(request, "classes.html", session, classes=found)


def waiting(console: Console, found: Class) -> list[codes.Waiting]:
    """Where each student is on the way through the door."""
    return codes.waiting(console.database.door, found, found.students)


def doors(console: Console, found: Class) -> dict[str, str]:
    """The same in words, by key; nothing for a class without a door."""
    return {one.student.key: one.state for one in waiting(console, found)} if found.door else {}


def has_cards(found: Class) -> bool:
    """Whether there are cards with codes to be taken."""
    return found.out is not None and handouts.cards_path(found, Path(found.out)).is_file()


def told(console: Console, found: Class) -> Message | None:
    """What a class is told now."""
    return console.database.messages.current(found.name, made=found.created.timestamp())


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done to a class; nothing is yet."""
    order = order_of(console, request, session)
    effect = EFFECTS[order.action]
    return errand_pages.confirm(request, session, order, address=address(order), effect=effect)


async def change(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    return await errand_pages.begin(console, request, session, order_of(console, request, session))


def order_of(console: Console, request: Request, session: Entry) -> ClassOrder | CodeOrder:
    """The order of an address; raises Problem 400 if it is none, 404 for a class that isn't theirs."""
    found, query = class_of(console, session, request.path_params["name"]), request.query_params
    action, named, every = query.get("action", ""), query.getlist("student"), query.get("all", "") == "1"
    order: ClassOrder | CodeOrder | None
    if action in set(CodeAction):
        order = code_orders.order(found, waiting(console, found), action, named, every=every)
    else:
        order = class_orders.order(found, action, named, every=every, days=query.get("days", ""))
    if order is None and action == CodeAction.CODES:
        raise Problem(400, "none of these needs a code: tick who has neither code nor passphrase, or replace them")
    if order is None:
        raise Problem(400, "tick students, and choose what to do")
    return order


def address(order: ClassOrder | CodeOrder) -> str:
    """Where an order is confirmed: the same students by label, even if the class has changed since."""
    query = [("action", str(order.action))]
    if isinstance(order, ClassOrder) and order.action is ClassAction.EXTEND:
        query.append(("days", str(order.days)))
    else:
        query += [("all", "1")] if order.everyone else [("student", label) for label in order.targets]
    return f"/class/{order.class_name}/order?{urlencode(query)}"


def class_of(console: Console, session: Entry, name: str) -> Class:
    """The class of that name; raises Problem 404 alike for one that isn't theirs and for one that isn't there."""
    for found in rights.theirs(session, record.load_all(console.context.state)):
        if found.name == name:
            return found
    raise Problem(404, "there is no such class, or it isn't yours")


ROUTES = (
    Route("/classes", signed_in(classes, Right.CLASSES)),
    Route("/class/{name}/order", signed_in(confirm, Right.CLASSES)),
    Route("/class/{name}/order", signed_in(change, Right.CLASSES), methods=["POST"]),
)
