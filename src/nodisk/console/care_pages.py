"""What an administrator looks after: the cluster, reports of verify and bench, backups."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.assets.addon_listing import Listed
from nodisk.classes import headlamp
from nodisk.console import care_orders, errand_pages, reports
from nodisk.console.care_orders import CareOrder
from nodisk.console.common import Console, page, signed_in
from nodisk.console.rights import Right
from nodisk.errors import NodiskError
from nodisk.records import backups
from nodisk.records.console_access import Entry
from nodisk.records.events import Event, Kind
from nodisk.server.handlers.common import Problem

TROUBLES = 50
"""The newest alarms about backups."""
LOOKED_AT = 2000
"""The newest alarms among which they are looked for."""


async def cluster(console: Console, request: Request, session: Entry) -> Response:
    """The cluster at a glance, with its add-ons; or why nobody knows."""
    if not console.lab.has_cluster:
        raise Problem(404, "this lab has no cluster")
    found, unknown = None, ""
    addons: tuple[Listed, ...] = ()
    no_addons = ""
    try:
        async with console.asking:
            found = await asyncio.to_thread(console.census, console.context)
    except NodiskError as error:
        unknown = error.message
    else:  # where the API is away, nobody waits for it twice
        try:
            addons = await addons_of(console)
        except NodiskError as error:
            no_addons = error.message
    return page(
        request,
        "cluster.html",
        session,
        found=found,
        unknown=unknown,
        addons=addons,
        no_addons=no_addons,
        has_headlamp=headlamp.wanted(console.lab),
    )


async def addons_of(console: Console) -> tuple[Listed, ...]:
    """The cluster's add-ons; raises NodiskError if nobody can say. Who waits for the API doesn't wait for Helm."""
    known = await asyncio.to_thread(console.addons_known, console.context)
    async with console.asking:
        return await asyncio.to_thread(console.addons, console.context, known)


async def reports_(console: Console, request: Request, session: Entry) -> Response:
    """All reports."""
    found = await asyncio.to_thread(reports.found, console.context.state.reports)
    return page(request, "reports.html", session, reports=found, trends=reports.trends(found))


async def report(console: Console, request: Request, session: Entry) -> Response:
    """A report's file, to be kept: never a page of the console's own, whatever is in it."""
    name = request.path_params["name"]
    content = await asyncio.to_thread(reports.read, console.context.state.reports, name)
    if content is None:
        raise Problem(404, "there is no such report")
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


async def backups_(console: Console, request: Request, session: Entry) -> Response:
    """When the lab was last backed up, and what went wrong."""
    lab, state, now = console.lab, console.context.state, time.time()
    known = await asyncio.to_thread(backups.read, state)
    # systemd reads the schedule, in a process of its own.
    wrong = await asyncio.to_thread(backups.problem, lab, state, now)
    following = await asyncio.to_thread(_next, console, known.made or now)
    return page(
        request,
        "backups.html",
        session,
        known=known,
        wrong=wrong,
        following=following,
        planned=lab.backup,
        events=_alarms(console)[::-1],
    )


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done; nothing is yet."""
    order = order_of(console, request.query_params.get("action", ""))
    address, effect = f"/backups/order?action={order.action}", care_orders.EFFECTS[order.action]
    return errand_pages.confirm(request, session, order, address=address, effect=effect)


async def begin(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    order = order_of(console, request.query_params.get("action", ""))
    return await errand_pages.begin(console, request, session, order)


def order_of(console: Console, action: str) -> CareOrder:
    """The order of that name; raises Problem 400 if it is none."""
    order = care_orders.order(console.lab, action)
    if order is None:
        raise Problem(400, "choose what to do; and lab.yaml must name a place for backups: backup.target")
    return order


def _next(console: Console, after: float) -> float | None:
    planned = console.lab.backup
    if planned is None or planned.schedule is None:
        return None
    try:
        return backups.next_after(planned.schedule, after)
    except NodiskError:
        return None  # what is wrong with it is said already


def _alarms(console: Console) -> list[Event]:
    found = console.database.events(kinds=(Kind.ALARM,), limit=LOOKED_AT)
    return [event for event in found if event.detail.startswith("backup: ")][-TROUBLES:]


ROUTES = (
    Route("/cluster", signed_in(cluster, Right.CARE)),
    Route("/reports", signed_in(reports_, Right.CARE)),
    Route("/report/{name}", signed_in(report, Right.CARE)),
    Route("/backups", signed_in(backups_, Right.CARE)),
    Route("/backups/order", signed_in(confirm, Right.CARE)),
    Route("/backups/order", signed_in(begin, Right.CARE), methods=["POST"]),
)
