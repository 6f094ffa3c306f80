"""What every page of the console needs: the shared state, the user and what they may see, a page's values."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from nodisk.assets import addon_listing
from nodisk.assets.addon_listing import Known, Listed
from nodisk.classes import census, headlamp, on_node, own
from nodisk.classes.census import Census
from nodisk.classes.headlamp import Entrance
from nodisk.classes.on_node import OnNode
from nodisk.classes.own import Own, Together
from nodisk.classes.record import Account, Class
from nodisk.console import alarms, pages, rights, security, words
from nodisk.console.alarms import Alarms
from nodisk.console.class_looks import Looks
from nodisk.console.errands import Errands, by_command
from nodisk.console.rights import Right
from nodisk.console.snapshot import Snapshot
from nodisk.console.terminal_pods import InCluster
from nodisk.console.terminals import Terminals
from nodisk.console.tries import Tries
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.records import running
from nodisk.records.console_access import Entry
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.server import own_command
from nodisk.server.handlers.common import Problem, source_of
from nodisk.server.limits import RateLimit
from nodisk.spec.model import Lab

API = "/api/"
"""Where programs ask."""
TICK = 1.0
"""Seconds between two looks at the room, for a page that is kept up to date."""

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
    door_streams: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Pages of each student, by class and account, that are kept up to date now."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    errands: Errands = field(init=False)
    detach: Callable[[Sequence[str], Path, Path, Path], None] = own_command.detach
    """Begin a command that outlives the server: its words, lab.yaml, the state directory, where its output goes."""
    reload: Callable[[], None] = running.reload_self
    """Make the server read lab.yaml again; it then tells this console of it (``take``)."""
    census: Callable[[LabContext], Census] = census.ask
    """The cluster at a glance; raises NodiskError if nobody can say."""
    addons_known: Callable[[LabContext], Known] = addon_listing.known
    """What the lab has of its add-ons; it may take Helm's seconds, so nothing that others need is held meanwhile."""
    addons: Callable[[LabContext, Known], tuple[Listed, ...]] = addon_listing.ask
    """The cluster's add-ons; raises NodiskError if nobody can say."""
    on_node: Callable[[LabContext, str, Iterable[Class]], OnNode | None] = on_node.ask
    """What is on a machine, of these classes' students and others; raises NodiskError if nobody can say."""
    key: Callable[[LabContext, Class, Account], str] = own.key
    """A student's kubeconfig with a new token; raises NodiskError."""
    own: Callable[[LabContext, Class, Account], Own] = field(init=False)
    """What a student has; raises NodiskError if nobody can say."""
    together: Callable[[LabContext, Class], Together] = field(init=False)
    """What a class's students have, out of the same answer of the API; raises NodiskError if nobody can say."""
    class_looks: Looks = field(default_factory=Looks)
    """What the pages of classes say, collected once for all who watch the same."""
    headlamp: Callable[[LabContext, Class | None, Account | None], Entrance] = headlamp.ask
    """A way into Headlamp for somebody of a class, or an administrator; raises NodiskError."""
    cards: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Cards with codes that were taken a moment ago, by class and the session's token."""
    door_tries: Tries = field(default_factory=Tries)
    """What students enter at the door."""
    students_asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Held while the API is asked what students have: a class may open their pages in the same minute."""
    terminals: Terminals = field(init=False)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the API is asked for a page: however often pages are reloaded, it is asked by one at a time."""

    def __post_init__(self) -> None:
        asked = own.Shared()
        self.own, self.together = asked.own, asked.together
        self.errands = Errands(by_command(self.context))
        self.terminals = Terminals(InCluster(self.context, self.students_asking))

    def take(self, context: LabContext) -> None:
        """Go on with another version of lab.yaml. Pages, streams and terminals that are open stay open."""
        self.lab = context.lab
        self.snapshot.take(context)
        self.terminals.pods = InCluster(context, self.students_asking)

    @property
    def context(self) -> LabContext:
        """The lab as commands know it."""
        return self.snapshot.context

    def log(self, request: HTTPConnection, text: str, kind: Kind = Kind.DAEMON) -> None:
        """Record who did what, and from where."""
        self.database.record(kind, f"console: {text}", source=source_of(request))


def signed_in(handler: Handler, right: Right = Right.ROOM) -> Callable[[Request], Awaitable[Response]]:
    """A route for those who are signed in, and whose role has ``right``."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        console = console_of(request)
        session = session_of(request)
        if session is None:
            if wants_page(request):
                return RedirectResponse("/sign-in", 303)
            raise Problem(401, "sign in first")
        if not rights.may(session.role, right):
            console.log(request, f"{session.name} ({session.role}) was refused {request.url.path}")
            raise Problem(403, rights.REFUSALS[right])
        return await handler(console, request, session)

    return answer


def console_of(request: HTTPConnection) -> Console:
    """The shared state."""
    console: Console = request.app.state.console
    return console


def session_of(request: Request) -> Entry | None:
    """Who asks: a program with a token of its own where there are no pages, or a browser's session; None: nobody."""
    access = console_of(request).database.console
    token = bearer_of(request)
    return access.session(token_of(request)) if token is None else access.bearer(token)


def bearer_of(request: Request) -> str | None:
    """The token that a program brings (RFC 6750); None: it brings none, or asks for a page."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and request.url.path.startswith(API) else None


def token_of(request: HTTPConnection) -> str:
    """The token of the browser's session; '' if it brought none."""
    return request.cookies.get(security.cookie_name(console_of(request).lab), "")


def language_of(request: HTTPConnection) -> str:
    """The language of the answer."""
    asked = request.query_params.get("lang") or request.cookies.get("nodisk-language", "")
    return words.choose(asked, request.headers.get("accept-language", ""))


def page(
    request: Request, template: str, session: Entry | None, *, status: int = 200, at: str | None = None, **values: Any
) -> Response:
    """A page of the console, with the menu of who is signed in; ``at``: its path, if it isn't that of the request."""
    language, console = language_of(request), console_of(request)
    html = pages.page(
        template,
        language,
        lab=str(console.lab.name),
        session=session,
        menu=() if session is None else rights.menu(session.role, cluster=console.lab.has_cluster),
        token=security.form_token(token_of(request)) if session else "",
        path=request.url.path if at is None else at,
        query=request.url.query,
        alarms=alarms_for(console, session),
        **values,
    )
    response = HTMLResponse(html, status)
    if request.query_params.get("lang") == language:
        response.set_cookie(
            "nodisk-language", language, max_age=365 * 86400, secure=True, httponly=True, samesite="strict"
        )
    return response


def alarms_for(console: Console, session: Entry | None) -> Alarms | None:
    """What stands on top of the pages of who may see alarms."""
    if session is None or not rights.may(session.role, Right.ACTIVITY):
        return None
    return alarms.recent(console.database, console.snapshot.clock())


async def problem(request: Request, error: Exception) -> Response:
    """The answer to a request that came to nothing: a page, or JSON for a program."""
    status, reason = 404, "no such page"
    if isinstance(error, Problem):
        status, reason = error.status, error.reason
    elif isinstance(error, NodiskError):
        status, reason = 503, error.message
    if not wants_page(request):
        return JSONResponse({"error": reason}, status)
    template = "door_problem.html" if request.url.path.startswith("/door") else "problem.html"
    return page(request, template, None, reason=reason, status=status)


def wants_page(request: Request) -> bool:
    """Whether this is a browser that opens a page, and not its script, or another program."""
    return "text/html" in request.headers.get("accept", "")
