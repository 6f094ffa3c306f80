"""A student's terminal: its page, and the WebSocket of the page.

The WebSocket is let in by what lets in a form: the door's cookie, an Origin of our own, and the token of the session's
forms, which is its first message. What is typed and said is nowhere recorded; that one was opened and closed is.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from nodisk.classes import terminal
from nodisk.console import door_pages, security, terminal_messages, xterm
from nodisk.console.class_pages import told
from nodisk.console.common import Console, console_of, language_of, page
from nodisk.console.words import translator
from nodisk.errors import IntegrityError
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem

NONE = "This class has no terminals."
FULL = "Too many terminals are open now. Try again in a few minutes."
GREET = 10.0
"""Seconds for the first message."""
GOING_AWAY, AGAINST_POLICY = 1001, 1008
"""Status codes of RFC 6455, 7.4.1."""


async def show(request: Request) -> Response:
    """The page."""
    visit = door_pages.visit_of(request)
    if visit is None:
        return RedirectResponse(f"/door/{request.path_params['name']}", 303)
    if why := door_pages.closed(visit.found, visit.student) or ("" if visit.found.has_terminals else NONE):
        return door_pages.closed_page(request, why)
    return page(
        request,
        "door_terminal.html",
        None,
        at=f"/door/{visit.found.name}/terminal",
        found=visit.found,
        student=visit.student,
        form=security.form_token(visit.token),
        there=xterm.is_there(),
        packages=" ".join(xterm.PACKAGES),
        needs=str(terminal.needs(visit.found.size)),
        message=told(visit.console, visit.found),
    )


async def socket(connection: WebSocket) -> None:
    """The page's WebSocket. Who may not have it is refused before it is accepted, and is told nothing."""
    console = console_of(connection)
    try:
        visit = door_pages.visit_of(connection)
    except Problem:
        visit = None
    if visit is not None and not security.is_own(connection):
        console.log(connection, f"door: a page of another site asked for a terminal of {visit.who}", Kind.ALARM)
        visit = None
    if visit is None or door_pages.closed(visit.found, visit.student) or not visit.found.has_terminals:
        await connection.close(AGAINST_POLICY)
        return
    with contextlib.suppress(WebSocketDisconnect):  # it may go away at any moment
        await _serve(console, connection, visit)


async def _serve(console: Console, connection: WebSocket, visit: door_pages.Visit) -> None:
    await connection.accept()
    try:
        message = await asyncio.wait_for(connection.receive(), GREET)
        hello = terminal_messages.first(message.get("text"))
    except (TimeoutError, ValueError):
        hello = None
    tr = translator(language_of(connection))
    if hello is None or not security.is_form_token(hello.token, visit.token):
        await connection.close(AGAINST_POLICY)
        return
    if console.terminals.full:
        await connection.send_text(terminal_messages.state("failed", tr(FULL)))
        await connection.close(GOING_AWAY)
        return

    def may() -> bool:
        try:
            now = door_pages.visit_of(connection)
        except (Problem, IntegrityError):
            return True  # the record can't be read at this moment; what it said last counts
        return now is not None and not door_pages.closed(now.found, now.student) and now.found.has_terminals

    console.log(connection, f"door: {visit.who} opened a terminal")
    end = await console.terminals.serve(connection, visit.found, visit.student, hello.size, may=may, tr=tr)
    console.log(connection, f"door: {visit.who} closed a terminal ({end})")


ROUTES = (
    Route("/door/{name}/terminal", show),
    WebSocketRoute("/door/{name}/terminal/socket", socket),
)
