"""Parts of pages that are kept up to date by server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nodisk.console import errand_pages, pages, rights, upgrade_pages, view
from nodisk.console.common import Console, alarms_for, language_of, token_of
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem

MOST_STREAMS = 64
"""Pages of the console that are kept up to date at the same time; one more has to be reloaded by hand. Students' pages
are counted for each student (``door_pages``)."""
STILL_HERE = 15
"""Ticks after which a page without news gets a line, so that nobody between takes the connection for dead."""

Part = Callable[[], Awaitable[tuple[str, bool]]]
"""A part's HTML, and whether it changes no more."""


async def live(console: Console, request: Request, session: Entry) -> Response:
    """The changing part of a page, sent whenever it has changed."""
    if console.streams >= MOST_STREAMS:
        raise Problem(503, "too many pages are open")
    number = request.query_params.get("switched")
    if number is not None:
        part = _switched(console, request, session, number)
    elif "upgrade" in request.query_params:
        part = _upgrade(console, request, session)
    else:
        part = _room(console, request, session)
    token = token_of(request)

    def still() -> bool:
        return console.database.console.session(token) is not None

    def count(more: int) -> None:
        console.streams += more

    return kept(console, part, still, count)


def kept(console: Console, part: Part, still: Callable[[], bool], count: Callable[[int], None]) -> Response:
    """The stream of a part: its HTML whenever that has changed, for as long as ``still``. ``count`` gets 1, and -1."""

    async def events() -> AsyncIterator[str]:
        count(1)
        try:
            last, quiet = "", 0
            while not console.stopping.is_set() and still():
                html, over = await part()
                quiet = 0 if html != last else quiet + 1
                if html != last:
                    yield event("part", html)
                elif quiet % STILL_HERE == 0:
                    yield ": still here\n\n"
                if over:
                    yield event("over", "")
                    return
                last = html
                await asyncio.sleep(console.tick)
            yield event("end", "")
        finally:
            count(-1)

    return StreamingResponse(events(), media_type="text/event-stream")


def _room(console: Console, request: Request, session: Entry) -> Part:
    shown, language = view.looks(request.query_params.get("show", "")), language_of(request)
    ticks = rights.may(session.role, Right.SWITCH)

    async def part() -> tuple[str, bool]:
        status = await console.snapshot.status()

        def tiles() -> str:
            room, top = view.room(status, shown), alarms_for(console, session)
            return pages.page("tiles.html", language, room=room, shown=shown, ticks=ticks, alarms=top)

        return console.snapshot.once.get(status, (shown, language, session.role), tiles), False

    return part


def _switched(console: Console, request: Request, session: Entry, number: str) -> Part:
    errand, language = errand_pages.find(console, session, number), language_of(request)
    if errand is None:
        raise Problem(404, "there is no such order")

    async def part() -> tuple[str, bool]:
        html = pages.page("outcomes.html", language, **errand_pages.values(errand))
        return html, errand.came is not None

    return part


def _upgrade(console: Console, request: Request, session: Entry) -> Part:
    if not rights.may(session.role, Right.CARE):
        raise Problem(403, rights.REFUSALS[Right.CARE])
    language = language_of(request)

    async def part() -> tuple[str, bool]:
        return pages.page("upgrade_state.html", language, **await upgrade_pages.values(console)), False

    return part


def event(name: str, data: str) -> str:
    """One server-sent event (HTML Living Standard, 9.2.6): no line of ``data`` can end it or begin another field."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
