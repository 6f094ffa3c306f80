"""Classes and their students: an administrator's all, a teacher's own."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.classes import expiry, record
from nodisk.classes.record import Class
from nodisk.classes.trouble import Trouble
from nodisk.console import rights
from nodisk.console.common import Console, page, signed_in
from nodisk.console.rights import Right
from nodisk.errors import NodiskError
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem


async def classes(console: Console, request: Request, session: Entry) -> Response:
    """All classes of somebody."""
    now = record.now()
    found = [(one, expiry.due(one, now)) for one in rights.theirs(session, record.load_all(console.context.state))]
    return page(request, "classes.html", session, classes=found)


async def class_(console: Console, request: Request, session: Entry) -> Response:
    """One class."""
    found = class_of(console, session, request.path_params["name"])
    due = expiry.due(found, record.now())
    troubles, unknown = await _troubles(console, found)
    return page(request, "class.html", session, found=found, due=due, troubles=troubles, unknown=unknown)


async def _troubles(console: Console, found: Class) -> tuple[tuple[Trouble, ...], str]:
    """What fails for its students; or why nobody knows."""
    try:
        async with console.asking:
            return await asyncio.to_thread(console.failing, console.context, found), ""
    except NodiskError as error:
        return (), error.message


def class_of(console: Console, session: Entry, name: str) -> Class:
    """The class of that name; raises Problem 404 alike for one that isn't theirs and for one that isn't there."""
    for found in rights.theirs(session, record.load_all(console.context.state)):
        if found.name == name:
            return found
    raise Problem(404, "there is no such class, or it isn't yours")


ROUTES = (
    Route("/classes", signed_in(classes, Right.CLASSES)),
    Route("/class/{name}", signed_in(class_, Right.CLASSES)),
)
