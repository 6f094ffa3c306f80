"""The way into Headlamp: a page with a token that is good for an hour, for students, teachers and administrators.

The token is on that page alone. It is asked for by a form, so neither an address nor a record has it, and the page is
kept by no browser (``cache-control: no-store``).
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes import headlamp
from nodisk.classes.record import Account, Class
from nodisk.console import door_pages, rights, security
from nodisk.console.class_pages import class_of
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.server.handlers.common import Problem

NOT_YOURS = "the class names you as no teacher: nodisk class create NAME --teacher"


async def of_class(console: Console, request: Request, session: Entry) -> Response:
    """A teacher's way in, with a teacher's rights in the namespaces of the class."""
    found = class_of(console, session, request.path_params["name"])
    account = rights.account_of(session, found)
    if account is None:
        raise Problem(403, NOT_YOURS)
    return await _shown(console, request, session, found, account)


async def of_cluster(console: Console, request: Request, session: Entry) -> Response:
    """An administrator's way in, to look."""
    return await _shown(console, request, session, None, None)


async def _shown(
    console: Console, request: Request, session: Entry, found: Class | None, account: Account | None
) -> Response:
    security.check_origin(request)
    security.check_form(await security.form_of(request), token_of(request))
    _need(console)
    async with console.asking:
        way = await asyncio.to_thread(console.headlamp, console.context, found, account)
    for_what = "the cluster" if found is None else f"class {found.name}"
    console.log(request, f"{session.name} ({session.role}) took a token for Headlamp, for {for_what}")
    return page(request, "headlamp.html", session, way=way, back=_back(request))


async def of_student(request: Request) -> Response:
    """A student's way in, with the student's own rights."""
    security.check_origin(request)
    visit = door_pages.visit_of(request)
    if visit is None:
        raise Problem(403, "sign in first")
    security.check_form(await security.form_of(request), visit.token)
    if why := door_pages.closed(visit.found, visit.student):
        return door_pages.closed_page(request, why)
    _need(visit.console)
    async with visit.console.students_asking:
        way = await asyncio.to_thread(visit.console.headlamp, visit.console.context, visit.found, visit.student)
    visit.console.log(request, f"door: {visit.who} took a token for Headlamp")
    return page(request, "door_headlamp.html", None, way=way, back=f"/door/{visit.found.name}")


async def back(console: Console, request: Request, session: Entry) -> Response:
    """A form's own address, opened as a page."""
    return RedirectResponse(_back(request), 303)


def _back(request: Request) -> str:
    name = request.path_params.get("name")
    return "/cluster" if name is None else f"/class/{quote(str(name), safe='')}"


def _need(console: Console) -> None:
    if not headlamp.wanted(console.lab):
        raise Problem(404, "lab.yaml has no add-on headlamp")


ROUTES = (
    Route("/class/{name}/headlamp", signed_in(of_class, Right.CLASSES), methods=["POST"]),
    Route("/class/{name}/headlamp", signed_in(back, Right.CLASSES)),
    Route("/cluster/headlamp", signed_in(of_cluster, Right.CARE), methods=["POST"]),
    Route("/cluster/headlamp", signed_in(back, Right.CARE)),
    Route("/door/{name}/headlamp", of_student, methods=["POST"]),
)
