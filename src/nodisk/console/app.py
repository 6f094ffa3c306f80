"""The console's HTTP application: who asks, which page. nginx is in front of it, for TLS and slow clients."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from nodisk.console import pages, security, view, words
from nodisk.console.snapshot import Snapshot
from nodisk.machines.status import to_json
from nodisk.records.console_access import SESSION, ConsoleRole, Entry
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, source_of
from nodisk.server.limits import RateLimit
from nodisk.spec.model import Lab

EVENTS = 200
"""The newest events of a page."""
MOST_STREAMS = 64
"""Pages that are kept up to date at the same time; one more has to be reloaded by hand."""
TICK = 1.0
"""Seconds between two looks at the room, for a page that is kept up to date."""
STILL_HERE = 15
"""Ticks after which a page without news gets a line, so that nobody between takes the connection for dead."""

Handler = Callable[["Console", Request, Entry], Awaitable[Response]]


@dataclass(slots=True)
class Console:
    """What all requests share."""

    lab: Lab
    database: Database
    snapshot: Snapshot
    tries: RateLimit = field(default_factory=lambda: RateLimit(burst=5, per_second=1 / 12))
    """Codes from one address, right or wrong: five a minute."""
    all_tries: RateLimit = field(default_factory=lambda: RateLimit(burst=60, per_second=1))
    """The same from all addresses together."""
    tick: float = TICK
    streams: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def log(self, request: Request, text: str, kind: Kind = Kind.DAEMON) -> None:
        """Record who did what, and from where."""
        self.database.record(kind, f"console: {text}", source=source_of(request))


def application(console: Console) -> security.Guarded:
    """The ASGI application."""
    app = Starlette(
        routes=[
            Route("/", _signed_in(room)),
            Route("/live", _signed_in(live)),
            Route("/machine/{name}", _signed_in(machine)),
            Route("/activity", _signed_in(activity, ConsoleRole.ADMIN)),
            Route("/api/status", _signed_in(api_status)),
            Route("/sign-in", ask_code),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/static/{name}", static),
        ],
        exception_handlers={Problem: _problem, 404: _problem, 405: _problem},
    )
    app.state.console = console
    return security.Guarded(app, security.hosts(console.lab))


async def room(console: Console, request: Request, session: Entry) -> Response:
    """All machines."""
    shown = request.query_params.get("show", "")
    found = view.room(await console.snapshot.status(), view.looks(shown))
    return _page(request, "room.html", session, room=found, shown=view.looks(shown))


async def live(console: Console, request: Request, session: Entry) -> Response:
    """The changing part of the room's page as server-sent events, one whenever it has changed."""
    if console.streams >= MOST_STREAMS:
        raise Problem(503, "too many pages are open")
    shown, language = view.looks(request.query_params.get("show", "")), _language(request)
    token = _token(request)

    async def events() -> AsyncIterator[str]:
        console.streams += 1
        try:
            last, quiet = "", 0
            while not console.stopping.is_set() and console.database.console.session(token) is not None:
                found = view.room(await console.snapshot.status(), shown)
                html = pages.page("tiles.html", language, room=found, shown=shown)
                quiet = 0 if html != last else quiet + 1
                if html != last:
                    yield _event("room", html)
                elif quiet % STILL_HERE == 0:
                    yield ": still here\n\n"
                last = html
                await asyncio.sleep(console.tick)
            yield _event("end", "")
        finally:
            console.streams -= 1

    return StreamingResponse(events(), media_type="text/event-stream")


async def machine(console: Console, request: Request, session: Entry) -> Response:
    """One machine."""
    status = await console.snapshot.status()
    row = view.row_of(status, request.path_params["name"])
    if row is None:
        raise Problem(404, "lab.yaml has no such machine")
    facts = next(one for one in to_json(status)["machines"] if one["name"] == str(row.machine.name))
    return _page(
        request,
        "machine.html",
        session,
        tile=view.tile(row, facts["node"], status.time),
        facts=facts,
        timeline=view.timeline(row, status.rows),
        neighbours=view.neighbours(console.lab, row.machine),
        events=console.database.events(mac=row.machine.mac, limit=EVENTS)[::-1],
    )


async def activity(console: Console, request: Request, session: Entry) -> Response:
    """What happened: the server's doings, alarms, who signed in."""
    alarms = request.query_params.get("show") == "alarms"
    found = console.database.events(kinds=(Kind.ALARM,) if alarms else (), limit=EVENTS)
    return _page(request, "activity.html", session, events=found[::-1], alarms=alarms)


async def api_status(console: Console, request: Request, session: Entry) -> Response:
    """What ``nodisk status --output json`` prints."""
    return JSONResponse(to_json(await console.snapshot.status()))


async def ask_code(request: Request) -> Response:
    """The page of a link. It only asks: a program that looks at links in messages must not use one up."""
    console, code = _console(request), request.query_params.get("code", "")
    if not code:
        return _page(request, "sign_in.html", None, invited=None, code="", wrong=False)
    _limit(console, request)
    invited = console.database.console.invited(code)
    if invited is None:
        return _page(request, "sign_in.html", None, invited=None, code="", wrong=True, status=403)
    return _page(request, "sign_in.html", None, invited=invited, code=code, wrong=False)


async def sign_in(request: Request) -> Response:
    """A code becomes a session, always a new one: a token that the browser brought along counts for nothing."""
    console = _console(request)
    security.check_origin(request)
    _limit(console, request)
    found = console.database.console.sign_in((await security.form_of(request)).get("code", ""))
    if found is None:
        console.log(request, "a wrong or late code", Kind.ALARM)
        return _page(request, "sign_in.html", None, invited=None, code="", wrong=True, status=403)
    if old := _token(request):
        console.database.console.sign_out(old)
    token, session = found
    console.log(request, f"{session.name} ({session.role}) signed in")
    response = RedirectResponse("/", 303)
    security.set_session(response, console.lab, token, seconds=int(SESSION))
    return response


async def sign_out(request: Request) -> Response:
    """End this browser's session."""
    console, token = _console(request), _token(request)
    security.check_origin(request)
    session = console.database.console.session(token)
    if session is not None:
        security.check_form(await security.form_of(request), token)
        console.database.console.sign_out(token)
        console.log(request, f"{session.name} ({session.role}) signed out")
    response = RedirectResponse("/sign-in", 303)
    security.set_session(response, console.lab, "", seconds=0)
    return response


async def static(request: Request) -> Response:
    """A file that pages load; there is nothing secret in them."""
    found = pages.static(request.path_params["name"])
    if found is None:
        raise Problem(404, "no such file")
    return Response(found[0], media_type=found[1], headers={"cache-control": "max-age=3600"})


def _signed_in(handler: Handler, role: ConsoleRole = ConsoleRole.VIEWER) -> Callable[[Request], Awaitable[Response]]:
    """A route for those who are signed in; with ``role`` ADMIN, only for administrators."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        console = _console(request)
        session = console.database.console.session(_token(request))
        if session is None:
            if _wants_page(request):
                return RedirectResponse("/sign-in", 303)
            raise Problem(401, "sign in first")
        if role is ConsoleRole.ADMIN and session.role is not ConsoleRole.ADMIN:
            console.log(request, f"{session.name} ({session.role}) was refused {request.url.path}")
            raise Problem(403, "only administrators may see this")
        return await handler(console, request, session)

    return answer


def _limit(console: Console, request: Request) -> None:
    if not (console.tries.allows(source_of(request)) and console.all_tries.allows("")):
        raise Problem(429, "too many tries: wait a minute")


def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def _token(request: Request) -> str:
    return request.cookies.get(security.cookie_name(_console(request).lab), "")


def _language(request: Request) -> str:
    asked = request.query_params.get("lang") or request.cookies.get("nodisk-language", "")
    return words.choose(asked, request.headers.get("accept-language", ""))


def _page(request: Request, template: str, session: Entry | None, *, status: int = 200, **values: Any) -> Response:
    language = _language(request)
    html = pages.page(
        template,
        language,
        lab=str(_console(request).lab.name),
        session=session,
        token=security.form_token(_token(request)) if session else "",
        path=request.url.path,
        query=request.url.query,
        **values,
    )
    response = HTMLResponse(html, status)
    if request.query_params.get("lang") == language:
        response.set_cookie(
            "nodisk-language", language, max_age=365 * 86400, secure=True, httponly=True, samesite="strict"
        )
    return response


async def _problem(request: Request, error: Exception) -> Response:
    status, reason = (error.status, error.reason) if isinstance(error, Problem) else (404, "no such page")
    if not _wants_page(request):
        return JSONResponse({"error": reason}, status)
    return _page(request, "problem.html", None, reason=reason, status=status)


def _wants_page(request: Request) -> bool:
    """Whether this is a browser that opens a page, and not its script, or another program."""
    return "text/html" in request.headers.get("accept", "")


def _event(name: str, data: str) -> str:
    """One server-sent event (HTML Living Standard, 9.2.6): no line of ``data`` can end it or begin another field."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
