"""Pages that are kept up to date by server-sent events.

``part``: the whole of a page's live part. ``piece``: an element's id, and behind the first line what is in it now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nodisk.console import class_home, errand_pages, pages, rights, upgrade_pages, view
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
News = Callable[[], Awaitable[tuple[list[str], bool]]]
"""Events that a page has not got yet, and whether there will be no more."""


async def live(console: Console, request: Request, session: Entry) -> Response:
    """What changes of a page, sent whenever it has changed."""
    if console.streams >= MOST_STREAMS:
        raise Problem(503, "too many pages are open")
    token = token_of(request)

    def still() -> bool:
        return console.database.console.session(token) is not None

    def count(more: int) -> None:
        console.streams += more

    query = request.query_params
    if (name := query.get("class")) is not None:
        return kept(console, *_class(console, request, session, name), count)
    if (number := query.get("switched")) is not None:
        part = _switched(console, request, session, number)
    elif "upgrade" in query:
        part = _upgrade(console, request, session)
    else:
        part = _room(console, request, session)
    return kept(console, whole(part), still, count)


def kept(console: Console, news: News, still: Callable[[], bool], count: Callable[[int], None]) -> Response:
    """The stream of a page's news, for as long as ``still``. ``count`` gets 1, and -1 at its end."""

    async def events() -> AsyncIterator[str]:
        count(1)
        try:
            quiet = 0
            while not console.stopping.is_set() and still():
                told, over = await news()
                if not still():  # what took seconds to be found out is nothing for who was signed out meanwhile
                    break
                for one in told:
                    yield one
                quiet = 0 if told else quiet + 1
                if quiet and quiet % STILL_HERE == 0:
                    yield ": still here\n\n"
                if over:
                    yield event("over", "")
                    return
                await asyncio.sleep(console.tick)
            yield event("end", "")
        finally:
            count(-1)

    return StreamingResponse(events(), media_type="text/event-stream")


def whole(part: Part) -> News:
    """The news of a page with one part: all of it, whenever it has changed."""
    last = ""

    async def news() -> tuple[list[str], bool]:
        nonlocal last
        before = last
        last, over = await part()
        return [] if last == before else [event("part", last)], over

    return news


def _class(console: Console, request: Request, session: Entry, name: str) -> tuple[News, Callable[[], bool]]:
    if not rights.may(session.role, Right.CLASSES):
        raise Problem(403, rights.REFUSALS[Right.CLASSES])
    changed, still = class_home.news(console, request, session, name)

    async def news() -> tuple[list[str], bool]:
        return [event("piece", f"{element}\n{html}") for element, html in await changed()], False

    return news, still


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
