"""Watching a student's terminal: the page for who teaches the class, and its WebSocket.

Its WebSocket is let in as a student's own is: the cookie, an Origin of ours, the token of the session's forms. Who it
is of, and whether they teach the class, is looked at again every second.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from nodisk.classes.record import Account, Class
from nodisk.console import rights, security, terminal_messages, xterm
from nodisk.console.class_pages import class_of
from nodisk.console.common import Console, console_of, language_of, page, signed_in, token_of
from nodisk.console.rights import Right
from nodisk.console.terminal_pages import AGAINST_POLICY, GOING_AWAY, GREET
from nodisk.console.terminal_watchers import Left, Watcher
from nodisk.console.words import translator
from nodisk.errors import IntegrityError
from nodisk.records.console_access import Entry
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem

CLOSED = "This student has no terminal open now."


async def show(console: Console, request: Request, session: Entry) -> Response:
    """The page."""
    found = class_of(console, session, request.path_params["name"])
    student = _student(found, request.path_params["label"])
    packages = " ".join(xterm.PACKAGES)
    return page(request, "watch.html", session, found=found, student=student, there=xterm.is_there(), packages=packages)


async def socket(connection: WebSocket) -> None:
    """The page's WebSocket. Who may not have it is refused before it is accepted, and is told nothing."""
    console = console_of(connection)
    came = _who(console, connection)
    if came is not None and not security.is_own(connection):
        console.log(connection, f"a page of another site asked to watch a terminal as {came[0].name}", Kind.ALARM)
        came = None
    if came is None:
        await connection.close(AGAINST_POLICY)
        return
    with contextlib.suppress(WebSocketDisconnect):  # it may go away at any moment
        await _serve(console, connection, *came)


async def _serve(console: Console, connection: WebSocket, session: Entry, found: Class, student: Account) -> None:
    await connection.accept()
    try:
        message = await asyncio.wait_for(connection.receive(), GREET)
        token = terminal_messages.first_of_watcher(message.get("text"))
    except (TimeoutError, ValueError):
        token = ""
    if not security.is_form_token(token, token_of(connection)):
        await connection.close(AGAINST_POLICY)
        return
    tr, open_now = translator(language_of(connection)), console.terminals.current(found, student)
    if open_now is None:
        await connection.send_text(terminal_messages.state("failed", tr(CLOSED)))
        await connection.close(GOING_AWAY)
        return

    def may() -> bool:
        try:
            now = _who(console, connection)
        except IntegrityError:
            return True  # the record can't be read at this moment; what it said last counts
        return now is not None and now[2].key == student.key

    who, whose = f"{session.name} ({session.role})", f"the terminal of {found.name}/{student.label}"
    console.log(connection, f"{who} watches {whose}")
    end = await Watcher(connection, session.name, may, tr).run(open_now.watchers)
    if end is Left.TYPED:
        console.log(connection, f"{who} tried to send something to {whose}, which they only watch", Kind.ALARM)
    console.log(connection, f"{who} watches {whose} no more ({end})")


def _who(console: Console, connection: WebSocket) -> tuple[Entry, Class, Account] | None:
    """Who asks, for whose terminal; None: nobody, or it is none of theirs. Raises IntegrityError."""
    session = console.database.console.session(token_of(connection))
    if session is None or not rights.may(session.role, Right.CLASSES):
        return None
    try:
        found = class_of(console, session, connection.path_params["name"])
        return session, found, _student(found, connection.path_params["label"])
    except Problem:
        return None


def _student(found: Class, label: str) -> Account:
    for student in found.students:
        if student.label == label:
            return student
    raise Problem(404, "there is no such student")


ROUTES = (
    Route("/class/{name}/terminal/{label}", signed_in(show, Right.CLASSES)),
    WebSocketRoute("/class/{name}/terminal/{label}/socket", socket),
)
