"""Telling a class something: what would be told, and the order."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes.record import Class
from nodisk.console import errand_pages, security, tell_orders
from nodisk.console.class_pages import class_of
from nodisk.console.common import Console, signed_in, token_of
from nodisk.console.rights import Right
from nodisk.console.tell_orders import TellOrder
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem

MOST_FORM = 16384
"""Bytes of a form: a character of a message may take a dozen."""


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be told; nothing is yet. By a form, for a message is nothing to be in an address."""
    order, _ = await _asked(console, request, session)
    hidden = {"text": order.text, "withdraw": "1" if order.action is tell_orders.TellAction.WITHDRAW else ""}
    address, effect = f"/class/{order.class_name}/told", tell_orders.EFFECTS[order.action]
    return errand_pages.confirm(
        request, session, order, address=address, effect=effect, quoted=order.text, hidden=hidden
    )


async def tell(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    order, form = await _asked(console, request, session)
    errand_pages.check_count(form, order.targets)
    return RedirectResponse(f"/switched/{errand_pages.start(console, request, session, order).number}", 303)


async def _asked(console: Console, request: Request, session: Entry) -> tuple[TellOrder, dict[str, str]]:
    security.check_origin(request)
    form = await security.form_of(request, MOST_FORM)
    security.check_form(form, token_of(request))
    found = class_of(console, session, request.path_params["name"])
    return order_of(found, session, form.get("text", ""), withdraw=form.get("withdraw") == "1"), form


def order_of(found: Class, session: Entry, text: str, *, withdraw: bool) -> TellOrder:
    """The order of a request; raises Problem 400 if it is none."""
    try:
        return tell_orders.order(found, text, session.name, withdraw=withdraw)
    except ValueError as error:
        raise Problem(400, str(error)) from error


ROUTES = (
    Route("/class/{name}/tell", signed_in(confirm, Right.CLASSES), methods=["POST"]),
    Route("/class/{name}/told", signed_in(tell, Right.CLASSES), methods=["POST"]),
)
