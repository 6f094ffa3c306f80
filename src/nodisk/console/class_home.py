"""A class's page for who teaches it: what fails, who uses how much, who was here. What changes of it is live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from markupsafe import Markup
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from nodisk.classes import expiry, headlamp, record
from nodisk.classes.own import Together
from nodisk.classes.record import Class
from nodisk.console import pages, pieces, rights, security
from nodisk.console.class_looks import Look, Now
from nodisk.console.class_pages import class_of, doors, has_cards, told
from nodisk.console.common import Console, language_of, page, signed_in, token_of
from nodisk.console.pieces import Piece
from nodisk.console.rights import Right
from nodisk.errors import IntegrityError, NodiskError
from nodisk.records.console_access import Entry

Elements = list[tuple[str, str]]
"""Ids of a page's elements, each with the HTML that is in it now."""


async def class_(console: Console, request: Request, session: Entry) -> Response:
    """One class."""
    found = class_of(console, session, request.path_params["name"])
    # Who loads the page has perhaps just changed something: what somebody else saw a moment ago won't do.
    look = await _look(console, found.name, anew=True) or Look(await _now(console, found))
    has_headlamp = headlamp.wanted(console.lab) and rights.account_of(session, found) is not None
    live = {piece.id: Markup(piece.html) for piece in _pieces(look, language_of(request), _form(request))}  # noqa: S704
    return page(
        request,
        "class.html",
        session,
        found=found,
        live=live,
        cards=has_cards(found),
        has_headlamp=has_headlamp,
    )


def news(
    console: Console, request: Request, session: Entry, name: str
) -> tuple[Callable[[], Awaitable[Elements]], Callable[[], bool]]:
    """Two functions: what has changed of a class's page since the last call, and whether it is still theirs to see.

    Raises Problem 404 if it isn't theirs now.
    """
    last = class_of(console, session, name)
    language, token, form = language_of(request), token_of(request), _form(request)
    seen: Look | None = None
    sent: tuple[Piece, ...] = ()

    async def changed() -> Elements:
        nonlocal seen, sent
        try:
            look = await _look(console, last.name)
        except IntegrityError:
            return []  # the record can't be read at this moment; what it said last counts
        if look is None or look is seen:
            return []
        seen, before = look, sent
        sent = _pieces(look, language, form)
        return pieces.news(before, sent)

    def still() -> bool:
        nonlocal last
        now = console.database.console.session(token)
        if now is None:
            return False
        try:
            found = record.load(console.context.state, last.name)
        except IntegrityError:
            found = last  # as above
        if found is None:
            return False
        last = found
        return rights.teaches(now, found)

    return changed, still


async def _look(console: Console, name: str, *, anew: bool = False) -> Look | None:
    async def collect() -> Now | None:
        found = record.load(console.context.state, name)
        return None if found is None else await _now(console, found)

    return await console.class_looks.get(name, collect, anew=anew)


async def _now(console: Console, found: Class) -> Now:
    """What the page says; where the API is away, all that is known without it."""
    together, unknown = Together(), ""
    try:
        async with console.students_asking:
            together = await asyncio.to_thread(console.together, console.context, found)
    except NodiskError as error:
        unknown = error.message
    # The API takes its time: the record is as it is after that.
    found = record.load(console.context.state, found.name) or found
    return Now(
        found,
        expiry.due(found, record.now()),
        together.troubles,
        unknown,
        {key: tuple(line for line in quota if line.used != "0") for key, quota in together.quotas.items()},
        console.database.door.seen(found.name),
        doors(console, found),
        frozenset(one.key for one in found.students if console.terminals.current(found, one) is not None),
        told(console, found),
    )


def _form(request: HTTPConnection) -> str:
    return security.form_token(token_of(request))


def _pieces(look: Look, language: str, token: str) -> tuple[Piece, ...]:
    """Those that are the same for all who watch, and the one that has a form of this session in it."""
    message = pages.page("class_told.html", language, found=look.now.found, message=look.now.message, token=token)
    return (*look.written(language, write), Piece("told", message))


def write(now: Now, language: str) -> tuple[Piece, ...]:
    """The pieces that are the same for all who watch. Pure."""

    def html(template: str, **more: Any) -> str:
        return pages.page(template, language, now=now, found=now.found, **more)

    rows = {f"student-{one.label}": html("class_row.html", student=one) for one in now.found.students}
    marked = {row: Markup(text) for row, text in rows.items()}  # noqa: S704 - a template has made it
    return (
        Piece("about", html("class_about.html")),
        Piece("fails", html("class_fails.html")),
        Piece("students", html("class_students.html", rows=marked), rows, html("class_students.html", rows={})),
    )


ROUTES = (Route("/class/{name}", signed_in(class_, Right.CLASSES)),)
