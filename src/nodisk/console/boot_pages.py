"""Choosing what a machine starts at its next boot."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.console import boot_orders, errand_pages
from nodisk.console.boot_orders import BootOrder
from nodisk.console.common import Console, signed_in
from nodisk.console.rights import Right
from nodisk.machines import next_boot
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem
from nodisk.spec import menu
from nodisk.spec.model import Machine


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be chosen; nothing is yet."""
    order = order_of(console, request)
    query = urlencode({"action": str(order.action), "entry": order.entry})
    address, effect = f"/machine/{order.machine}/next-boot?{query}", boot_orders.EFFECTS[order.action]
    return errand_pages.confirm(request, session, order, address=address, effect=effect)


async def choose(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    return await errand_pages.begin(console, request, session, order_of(console, request))


def order_of(console: Console, request: Request) -> BootOrder:
    """The order of an address; raises Problem 400 if it is none."""
    query = request.query_params
    found = boot_orders.order(console.lab, request.path_params["name"], query.get("action", ""), query.get("entry", ""))
    if found is None:
        raise Problem(400, "choose a machine of the lab, and an entry of its menu that asks for no password")
    return found


def values(console: Console, machine: Machine) -> dict[str, Any]:
    """What a machine's page shows of its next boot."""
    wish = console.database.next_boots.all().get(machine.mac)
    return {
        "next_boot": "" if wish is None else next_boot.shown(console.lab, wish),
        "default": menu.choice(console.lab, machine).default,
        "entries": menu.names(console.lab),
    }


ROUTES = (
    Route("/machine/{name}/next-boot", signed_in(confirm, Right.SWITCH)),
    Route("/machine/{name}/next-boot", signed_in(choose, Right.SWITCH), methods=["POST"]),
)
