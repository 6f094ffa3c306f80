"""A student's own page: what the class is told, what runs and fails, the quota; kept up to date while it is open."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk import ports
from nodisk.classes import headlamp
from nodisk.console import door_pages, live, pages, security
from nodisk.console.class_pages import told
from nodisk.console.common import Console, console_of, language_of, page
from nodisk.errors import NodiskError
from nodisk.server.handlers.common import Problem

STREAMS_EACH = 4
"""Pages of one student that are kept up to date at the same time."""


async def home(request: Request) -> Response:
    """A student's page; who isn't signed in is asked to."""
    visit = door_pages.visit_of(request)
    if visit is None:
        return door_pages.ask(request)
    why = door_pages.closed(visit.found, visit.student)
    # Kept up to date even so: who is let in again sees it without doing anything.
    return page(request, "door_home.html", None, status=403 if why else 200, **await _now(visit, why))


async def news(request: Request) -> Response:
    """The changing part of a student's page, or of the terminal's (``part=told``), sent whenever it has changed."""
    visit, console, language = door_pages.visit_of(request), console_of(request), language_of(request)
    if visit is None:
        raise Problem(401, "sign in first")
    key, last = (visit.found.name, visit.student.key), visit
    if console.door_streams[key] >= STREAMS_EACH:
        raise Problem(503, "too many pages are open")

    def still() -> bool:
        nonlocal last
        try:
            now = door_pages.visit_of(request)
        except Problem:
            return True  # the record can't be read at this moment; what it said last counts
        last = now or last
        return now is not None

    def count(more: int) -> None:
        console.door_streams[key] += more
        if not console.door_streams[key]:
            del console.door_streams[key]

    was: dict[str, Any] = {}
    html = ""

    async def message() -> tuple[str, bool]:
        return pages.page("door_told.html", language, message=told(console, last.found)), False

    async def part() -> tuple[str, bool]:
        nonlocal was, html
        now = await _now(last, door_pages.closed(last.found, last.student))
        # While the API was asked, the student may have been suspended: then nothing of its answer is for them.
        if still() and (why := door_pages.closed(last.found, last.student)) and why != now["why"]:
            now = await _now(last, why)
        if now != was:
            was, html = now, pages.page("door_own.html", language, **now)
        return html, False

    shown = message if request.query_params.get("part") == "told" else part
    return live.kept(console, live.whole(shown), still, count)


async def _now(visit: door_pages.Visit, why: str) -> dict[str, Any]:
    """What a student's page says now. ``why`` they are kept out: then it says that, and the API isn't asked."""
    own, unknown, console = None, "", visit.console
    if not why:
        try:
            async with console.students_asking:
                own = await asyncio.to_thread(console.own, console.context, visit.found, visit.student)
        except NodiskError as error:
            unknown = error.message
    return {
        "found": visit.found,
        "student": visit.student,
        "door": f"/door/{visit.found.name}",
        "form": security.form_token(visit.token),
        "message": told(console, visit.found),
        "own": own,
        "unknown": unknown,
        "why": why,
        "has_headlamp": headlamp.wanted(console.lab),
        "images": _images(console, visit),
    }


def _images(console: Console, visit: door_pages.Visit) -> str:
    """How the names of images begin that the student may push; empty: there is no registry, or no right to."""
    lab, found = console.lab, visit.found
    if lab.class_registry is None or found.role == "view":
        return ""
    return f"{lab.network.server}:{ports.CLASS_REGISTRY}/{found.namespace(visit.student)}/"


ROUTES = (
    Route("/door/{name}", home),
    Route("/door/{name}/live", news),
)
