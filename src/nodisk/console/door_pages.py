"""The students' door: sign in by a code and a passphrase, take a key, sign out.

A student's session is nothing of the console: it has a cookie, a table and pages of its own, and none of the console's
pages knows it. What counts is the class's record as it is now: who is suspended, rotated or removed is out at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes import plan, record
from nodisk.classes.record import Account, Class
from nodisk.console import security
from nodisk.console.common import Console, console_of, page
from nodisk.errors import IntegrityError, UsageError
from nodisk.records import door
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, source_of

WRONG_CODE = "That code is wrong, used or expired. Ask your teacher for a new one."
WRONG = "The login or the passphrase is wrong."
SHORT = f"Choose a passphrase of {door.SHORTEST} to {door.LONGEST} characters."
PLAIN = "Choose a passphrase that is harder to guess."
DIFFERENT = "The two passphrases differ."
FEWEST = 5
"""Different characters of a passphrase."""
SUSPENDED = "Your access is suspended. Ask your teacher."
ENDED = "The class has ended."


@dataclass(frozen=True, slots=True)
class Visit:
    """A student who is signed in."""

    console: Console
    found: Class
    student: Account
    token: str

    @property
    def who(self) -> str:
        """For the records."""
        return f"{self.found.name}/{self.student.label}"


async def ask_class(request: Request) -> Response:
    """Which class somebody is of."""
    name = request.query_params.get("class", "").strip().lower()
    if name and _valid(name):
        return RedirectResponse(f"/door/{name}", 303)
    return page(request, "door_class.html", None, wrong=bool(name))


async def first(request: Request) -> Response:
    """A code and a new passphrase, together: no code is used up before there is a passphrase."""
    security.check_origin(request)
    form = await security.form_of(request)
    passphrase, code = form.get("passphrase", ""), door.typed(form.get("code", ""))
    if problem := _refusal(passphrase, form.get("again", "")):
        return ask(request, first=problem, status=400)
    if code is None:  # no guess: no code looks like that
        return ask(request, first=WRONG_CODE, status=403)
    console, found = console_of(request), _class(request)
    records = console.database.door

    async def look() -> Visit | str | None:
        salt = records.salt(found.name if found is not None else "")
        digest = await asyncio.to_thread(door.code_digest, code, salt)
        owner = None if found is None else records.whose(found.name, digest)
        student = next((one for one in found.students if one.key == owner), None) if found is not None else None
        if found is None or student is None:
            return None
        if why := closed(found, student):
            return why
        kept = await asyncio.to_thread(door.passphrase_hash, passphrase)
        token = records.enter_first(found.name, student.key, digest, kept, credential=student.credential)
        return None if token is None else Visit(console, found, student, token)

    return await _judged(request, found, look, "a code", lambda: ask(request, first=WRONG_CODE, status=403))


async def sign_in(request: Request) -> Response:
    """A login and its passphrase."""
    security.check_origin(request)
    form = await security.form_of(request)
    passphrase, login = form.get("passphrase", ""), form.get("login", "").strip().lower()
    console, found = console_of(request), _class(request)
    records = console.database.door

    async def look() -> Visit | str | None:
        student = next((one for one in found.students if one.label == login), None) if found is not None else None
        kept = None if found is None or student is None else records.passphrase(found.name, student.key)
        # As long for whom there isn't, and for a text that is too long to be one.
        fits = await asyncio.to_thread(door.fits, passphrase[: door.LONGEST + 1], kept)
        if found is None or student is None or kept is None or not fits:
            return None
        if why := closed(found, student):
            return why
        token = records.enter(found.name, student.key, kept, credential=student.credential)
        return None if token is None else Visit(console, found, student, token)

    return await _judged(request, found, look, "a passphrase", lambda: ask(request, again=WRONG, status=403))


async def sign_out(request: Request) -> Response:
    """End this browser's session."""
    security.check_origin(request)
    visit = visit_of(request)
    if visit is not None:
        security.check_form(await security.form_of(request), visit.token)
        visit.console.database.door.sign_out(visit.token)
        visit.console.log(request, f"door: {visit.who} signed out")
    response = RedirectResponse(_path(request), 303)
    security.set_session(response, security.door_cookie_name(console_of(request).lab), "", seconds=0)
    return response


async def kubeconfig(request: Request) -> Response:
    """A key for some hours, to keep as a file. A form asks for it, since a token is made."""
    security.check_origin(request)
    visit = visit_of(request)
    if visit is None:
        raise Problem(403, "sign in first")
    security.check_form(await security.form_of(request), visit.token)
    if why := closed(visit.found, visit.student):
        return closed_page(request, why)
    async with visit.console.students_asking:
        text = await asyncio.to_thread(visit.console.key, visit.console.context, visit.found, visit.student)
    visit.console.log(request, f"door: {visit.who} took a key")
    name = f'attachment; filename="{visit.student.label}.kubeconfig"'
    return Response(text, media_type="application/yaml", headers={"content-disposition": name})


async def back(request: Request) -> Response:
    """A form's own address, opened as a page."""
    return RedirectResponse(_path(request), 303)


async def _judged(
    request: Request,
    found: Class | None,
    look: Callable[[], Awaitable[Visit | str | None]],
    what: str,
    wrong: Callable[[], Response],
) -> Response:
    """The answer to somebody who entered ``what``: a session, why there is none now, or ``wrong``."""
    console, name = console_of(request), found.name if found is not None else ""
    came: Visit | str | None = await console.door_tries.judge(source_of(request), name, look)
    if came is None:
        over = console.door_tries.over(source_of(request), name)
        at = f"at the door of class {name}" if name else "at the door of a class that there isn't"
        console.log(request, f"{what} was wrong {at}", Kind.DAEMON)
        if over:
            console.log(request, f"too many wrong tries {at}", Kind.ALARM)
        return wrong()
    if isinstance(came, str):
        return closed_page(request, came)
    cookie = security.door_cookie_name(console.lab)
    if old := request.cookies.get(cookie, ""):
        console.database.door.sign_out(old)
    console.log(request, f"door: {came.who} signed in")
    response = RedirectResponse(_path(request), 303)
    security.set_session(response, cookie, came.token, seconds=int(door.SESSION))
    return response


def visit_of(request: HTTPConnection) -> Visit | None:
    """Who is signed in at this class, by its record as it is now."""
    console = console_of(request)
    token = request.cookies.get(security.door_cookie_name(console.lab), "")
    session = console.database.door.session(token)
    found = _class(request)
    if session is None or found is None or session.class_name != found.name:
        return None
    for student in found.students:
        if (student.key, student.credential) == (session.account, session.credential):
            return Visit(console, found, student, token)
    return None


def _class(request: HTTPConnection) -> Class | None:
    """The class of the address; None where there is none, or one without a door: nobody can tell which."""
    name = str(request.path_params["name"])
    if not _valid(name):
        return None
    try:
        found = record.load(console_of(request).context.state, name)
    except IntegrityError as error:
        raise Problem(503, "the record of this class is damaged: tell your teacher") from error
    return found if found is not None and found.door else None


def _valid(name: str) -> bool:
    try:
        return plan.check_name(name) == name
    except UsageError:
        return False


def closed(found: Class, student: Account) -> str:
    """Why a student is kept out who could otherwise come in; '' if nothing does."""
    if found.expires <= record.now():
        return ENDED
    return SUSPENDED if student.suspended else ""


def _refusal(passphrase: str, again: str) -> str:
    if not door.SHORTEST <= len(passphrase) <= door.LONGEST:
        return SHORT
    if len(set(passphrase)) < FEWEST:
        return PLAIN
    return "" if passphrase == again else DIFFERENT


def _path(request: Request) -> str:
    name = str(request.path_params["name"])
    return f"/door/{name}" if _valid(name) else "/door"


def ask(request: Request, *, first: str = "", again: str = "", status: int = 200) -> Response:
    """The page to sign in, with what was wrong at one of its forms."""
    name = str(request.path_params["name"])
    if not _valid(name):
        return RedirectResponse("/door", 303)
    values: dict[str, Any] = {"name": name, "first": first, "again": again, "shortest": door.SHORTEST}
    return page(request, "door_sign_in.html", None, status=status, at=_path(request), **values)


def closed_page(request: Request, words: str) -> Response:
    """The page for who is kept out, with why."""
    return page(request, "door_closed.html", None, status=403, at=_path(request), words=words)


ROUTES = (
    Route("/door", ask_class),
    Route("/door/{name}/first", first, methods=["POST"]),
    Route("/door/{name}/sign-in", sign_in, methods=["POST"]),
    Route("/door/{name}/sign-out", sign_out, methods=["POST"]),
    Route("/door/{name}/kubeconfig", kubeconfig, methods=["POST"]),
    Route("/door/{name}/{form}", back),
)
