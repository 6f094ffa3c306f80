"""Machines that lab.yaml doesn't have: what they say of themselves, to adopt or to ignore.

A machine says what it likes: anyone on the wire may have made up what is shown here.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.console import errand_pages, remark_orders, security
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.remark_orders import IgnoreAction, IgnoreOrder
from nodisk.console.rights import Right
from nodisk.errors import NodiskError, UsageError
from nodisk.machines import adopting, vendors
from nodisk.machines.adopt import Wish, need_unknown
from nodisk.records import remarks
from nodisk.records.console_access import Entry
from nodisk.records.sightings import place
from nodisk.server.handlers.common import Problem
from nodisk.spec.model import Machine
from nodisk.values import Mac, Name, Seat


@dataclass(frozen=True, slots=True)
class Adoption:
    """What somebody wants of an unknown machine."""

    mac: Mac
    wish: Wish

    @property
    def line(self) -> str:
        """The equal command."""
        name, seat = self.wish.name, self.wish.seat
        words = (*((str(name),) if name else ()), *(("--seat", str(seat)) if seat else ()))
        return shlex.join(("nodisk", "machines", "adopt", str(self.mac), *words))


async def unknown(console: Console, request: Request, session: Entry) -> Response:
    """Those that asked for a boot script, in the order in which they were first seen."""
    seen, ignored = adopting.seen_in(console.database), console.database.remarks.all(remarks.Kind.IGNORED)
    hidden = request.query_params.get("show") == "ignored"
    found = [one for one in adopting.unknown(console.lab, seen) if (one.mac in ignored) == hidden]
    makers = await asyncio.to_thread(vendors.vendors, [one.mac for one in found])
    rows = [(one, makers[one.mac] or "", place(one.said)) for one in found]
    return page(request, "unknown.html", session, rows=rows, hidden=hidden)


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be adopted; nothing is yet."""
    found = adoption_of(console, request.query_params)
    try:
        need_unknown(console.lab, found.mac)
    except UsageError as error:  # adopted meanwhile
        raise Problem(409, error.message) from error
    query = [("mac", str(found.mac)), ("name", str(found.wish.name or "")), ("seat", str(found.wish.seat or ""))]
    address = f"/unknown/adopt?{urlencode(query)}"
    return page(
        request,
        "adopt.html",
        session,
        found=found,
        address=address,
        said=adopting.seen_in(console.database)[found.mac].said,
    )


async def adopt(console: Console, request: Request, session: Entry) -> Response:
    """Write it into lab.yaml, and have the server take that over once the answer is sent."""
    security.check_origin(request)
    security.check_form(await security.form_of(request), token_of(request))
    found = adoption_of(console, request.query_params)
    machine = await adopted(console, request, session, found)
    response = page(request, "adopted.html", session, machine=machine, line=found.line)
    # Then the server reads lab.yaml again, and a moment later the machine is one of the room.
    response.background = BackgroundTask(console.reload)
    return response


async def adopted(console: Console, request: Request, session: Entry, found: Adoption) -> Machine:
    """Write a machine into lab.yaml; raises Problem 409 or 503. The server is still to be told."""
    try:
        done = await asyncio.to_thread(
            adopting.adopt, console.context, lambda _: [found.mac], found.wish, adopting.seen_in(console.database)
        )
    except UsageError as error:  # somebody else was faster, or has the name, the seat or the last address
        raise Problem(409, error.message) from error
    except NodiskError as error:
        raise Problem(503, error.message) from error
    (machine,) = done.new.machines[len(done.old.machines) :]
    console.log(request, f"{session.name} ({session.role}): {found.line}: {machine.name}, {machine.address}")
    return machine


async def ask_ignore(console: Console, request: Request, session: Entry) -> Response:
    """Which one would be left out of the list, or shown again; nothing is yet."""
    order = ignore_of(console, request.query_params)
    address = f"/unknown/ignore?{urlencode({'action': str(order.action), 'mac': str(order.mac)})}"
    effect = remark_orders.IGNORE_EFFECTS[order.action]
    return errand_pages.confirm(request, session, order, address=address, effect=effect)


async def ignore(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    return await errand_pages.begin(console, request, session, ignore_of(console, request.query_params))


def ignore_of(console: Console, query: QueryParams) -> IgnoreOrder:
    """The order of an address; raises Problem 400 if it is none, 404 for a machine that was never seen."""
    action = query.get("action", "")
    if action not in set(IgnoreAction):
        raise Problem(400, "choose a machine, and what to do")
    return IgnoreOrder(IgnoreAction(action), mac_of(console, query.get("mac", "")))


def adoption_of(console: Console, query: Mapping[str, str]) -> Adoption:
    """What a request wants; raises Problem 400 if it is nothing that can be, 404 for a machine that was never seen."""
    mac, name, seat = mac_of(console, query.get("mac", "")), query.get("name", ""), query.get("seat", "")
    try:
        wish = Wish(name=Name.parse(name) if name else None, seat=Seat.parse(seat) if seat else None)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return Adoption(mac, wish)


def mac_of(console: Console, text: str) -> Mac:
    """A machine that was seen; raises Problem 400 or 404. That it is in lab.yaml by now is for ``adopt`` to say."""
    try:
        mac = Mac.parse(text)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    if mac not in adopting.seen_in(console.database):
        raise Problem(404, f"{mac} was never seen")
    return mac


ROUTES = (
    Route("/unknown", signed_in(unknown, Right.CARE)),
    Route("/unknown/adopt", signed_in(confirm, Right.CARE)),
    Route("/unknown/adopt", signed_in(adopt, Right.CARE), methods=["POST"]),
    Route("/unknown/ignore", signed_in(ask_ignore, Right.CARE)),
    Route("/unknown/ignore", signed_in(ignore, Right.CARE), methods=["POST"]),
)
