"""An order's way through pages: it is asked for once more, done, and followed to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes import record
from nodisk.console import orders, rights, security
from nodisk.console.care_orders import CareOrder
from nodisk.console.class_making import MakeOrder
from nodisk.console.code_orders import CodeOrder
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.errands import Errand
from nodisk.console.orders import AnyOrder, Asked
from nodisk.console.remark_orders import IgnoreOrder
from nodisk.console.rights import Right
from nodisk.machines.buttons.button import Outcome
from nodisk.records.console_access import ConsoleRole, Entry
from nodisk.server.handlers.common import Problem


def confirm(
    request: Request,
    session: Entry,
    order: AnyOrder,
    *,
    address: str,
    effect: str = "",
    quoted: str = "",
    hidden: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The page that says what would be done; nothing is yet. ``address``: where the order is posted.

    ``quoted``: a text that is part of it; ``hidden``: more fields of the form.
    """
    return ask(request, session, order, address=address, effect=effect, quoted=quoted, hidden=hidden, back=_back(order))


def ask(
    request: Request,
    session: Entry,
    order: Asked,
    *,
    address: str,
    back: tuple[str, str],
    effect: str = "",
    quoted: str = "",
    hidden: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The same for what isn't followed as an errand; ``back``: where "no" leads, and how that is called."""
    values: dict[str, Any] = {"order": order, "address": address, "effect": effect, "quoted": quoted, "hidden": hidden}
    return page(request, "confirm.html", session, back=back, **values)


async def begin(console: Console, request: Request, session: Entry, order: AnyOrder) -> Response:
    """Do it, if it is still what was confirmed; leads to what comes of it."""
    security.check_origin(request)
    form = await security.form_of(request)
    security.check_form(form, token_of(request))
    check_count(form, order.targets)
    return RedirectResponse(f"/switched/{start(console, request, session, order).number}", 303)


def check_count(form: Mapping[str, str], targets: Sequence[str]) -> None:
    """Raise Problem 409 if these are more or fewer than were confirmed."""
    if form.get("count") != str(len(targets)):
        raise Problem(409, f"these are {len(targets)} now: go back, and look again")


def start(console: Console, request: Request, session: Entry, order: AnyOrder) -> Errand:
    """Have it done, and recorded; raises Problem 409 while another order changes the same."""
    who = _who(session)

    def tell(errand: Errand) -> None:
        console.log(request, f"{who}: {order.line}: {orders.summary(errand.came or ())}")
        console.snapshot.changed()

    errand = console.errands.begin(order, who, tell)
    console.log(request, f"{who}: {order.line}")
    return errand


async def switched(console: Console, request: Request, session: Entry) -> Response:
    """How far an order is, and what came of it."""
    errand = find(console, session, request.path_params["number"])
    if errand is None:
        raise Problem(404, "that order is forgotten, or there never was one: see the activity")
    return page(request, "switched.html", session, back=_back(errand.order), **values(errand))


def find(console: Console, session: Entry, number: str) -> Errand | None:
    """The errand of that number, if it is somebody's to see: who may order it sees what comes of it."""
    errand = console.errands.find(number)
    if errand is None:
        return None
    if not errand.order.class_name:
        return errand if rights.may(session.role, Right.SWITCH) else None
    if isinstance(errand.order, MakeOrder) and errand.who == _who(session):
        return errand  # there is no class yet that names them, and none if it fails
    found = record.load(console.context.state, errand.order.class_name)
    return errand if session.role is ConsoleRole.ADMIN or (found and rights.teaches(session, found)) else None


def values(errand: Errand) -> dict[str, Any]:
    """What the changing part of an order's page shows."""
    order = errand.order
    places = {"Lab": ("", "Lab"), "Machines": ("/machine/", "Machine"), "Unknown machines": ("", "Machine")}
    leads, what = ("/class/", "Class") if order.class_name else places[order.heading]
    counts = orders.counts(errand.came or ())
    there = isinstance(order, CodeOrder) and counts[Outcome.CONFIRMED]
    onward = (f"/class/{order.class_name}#cards", "To the cards") if there else None
    return {"errand": errand, "counts": counts, "leads": leads, "what": what, "onward": onward}


def _who(session: Entry) -> str:
    return f"{session.name} ({session.role})"


def _back(order: AnyOrder) -> tuple[str, str]:
    """Where somebody came from, and how it is called."""
    if isinstance(order, CareOrder):
        return "/backups", "Back to the backups"
    if isinstance(order, IgnoreOrder):
        return "/unknown", "Back to the unknown machines"
    return (f"/class/{order.class_name}", "Back to the class") if order.class_name else ("/", "Back to the room")


ROUTES = (Route("/switched/{number}", signed_in(switched, Right.CLASSES)),)
