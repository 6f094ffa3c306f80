"""The console's HTTP application: who asks, which page. nginx is in front of it, for TLS and slow clients."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.console import (
    api,
    api_document,
    boot_pages,
    care_pages,
    class_home,
    class_pages,
    code_pages,
    door_home,
    door_pages,
    errand_pages,
    headlamp_pages,
    machine_node,
    making_pages,
    orders,
    pages,
    rights,
    security,
    switch_pages,
    tell_pages,
    terminal_pages,
    unknown_pages,
    upgrade_pages,
    view,
    watch_pages,
)
from nodisk.console.common import Console, console_of, page, problem, signed_in, token_of
from nodisk.console.live import live
from nodisk.console.rights import Right
from nodisk.errors import NodiskError
from nodisk.machines.status import to_json
from nodisk.records.console_access import SESSION, Entry
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem, source_of

EVENTS = 200
"""The newest events of a page."""


def application(console: Console) -> security.Guarded:
    """The ASGI application."""
    app = Starlette(
        routes=[
            Route("/", signed_in(room)),
            Route("/live", signed_in(live)),
            Route("/machine/{name}", signed_in(machine)),
            Route("/activity", signed_in(activity, Right.ACTIVITY)),
            *making_pages.ROUTES,
            *class_pages.ROUTES,
            *class_home.ROUTES,
            *code_pages.ROUTES,
            *switch_pages.ROUTES,
            *tell_pages.ROUTES,
            *errand_pages.ROUTES,
            *unknown_pages.ROUTES,
            *care_pages.ROUTES,
            *upgrade_pages.ROUTES,
            *terminal_pages.ROUTES,
            *watch_pages.ROUTES,
            *headlamp_pages.ROUTES,
            *door_home.ROUTES,
            *door_pages.ROUTES,
            *api.ROUTES,
            *api_document.ROUTES,
            Route("/sign-in", ask_code),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/static/{name}", static),
        ],
        exception_handlers={Problem: problem, NodiskError: problem, 404: problem, 405: problem},
    )
    app.state.console = console
    return security.Guarded(app, lambda: security.hosts(console.lab))


async def room(console: Console, request: Request, session: Entry) -> Response:
    """All machines."""
    shown = request.query_params.get("show", "")
    found = view.room(await console.snapshot.status(), view.looks(shown))
    ticks = rights.may(session.role, Right.SWITCH)
    return page(
        request,
        "room.html",
        session,
        room=found,
        shown=view.looks(shown),
        ticks=ticks,
        actions=switch_pages.actions(console.lab),
        rows=orders.rows(console.lab) if ticks else (),
    )


async def machine(console: Console, request: Request, session: Entry) -> Response:
    """One machine."""
    status = await console.snapshot.status()
    row = view.row_of(status, request.path_params["name"])
    if row is None:
        raise Problem(404, "lab.yaml has no such machine")
    facts = next(one for one in to_json(status)["machines"] if one["name"] == str(row.machine.name))
    return page(
        request,
        "machine.html",
        session,
        tile=view.tile(row, facts["node"], status.time),
        facts=facts,
        timeline=view.timeline(row, status.rows),
        printed=row.printed,
        neighbours=view.neighbours(console.lab, row.machine),
        ticks=rights.may(session.role, Right.SWITCH),
        actions=orders.actions(console.lab),
        **boot_pages.values(console, row.machine),
        **await machine_node.values(console, session, row),
        events=console.database.events(mac=row.machine.mac, limit=EVENTS)[::-1],
    )


async def activity(console: Console, request: Request, session: Entry) -> Response:
    """What happened: the server's doings, alarms, who signed in."""
    only = request.query_params.get("show") == "alarms"
    found = console.database.events(kinds=(Kind.ALARM,) if only else (), limit=EVENTS)
    return page(request, "activity.html", session, events=found[::-1], only=only)


async def ask_code(request: Request) -> Response:
    """The page of a link. It only asks: a program that looks at links in messages must not use one up."""
    console, code = console_of(request), request.query_params.get("code", "")
    if not code:
        return page(request, "sign_in.html", None, invited=None, code="", wrong=False)
    _limit(console, request)
    invited = console.database.console.invited(code)
    if invited is None:
        return page(request, "sign_in.html", None, invited=None, code="", wrong=True, status=403)
    return page(request, "sign_in.html", None, invited=invited, code=code, wrong=False)


async def sign_in(request: Request) -> Response:
    """A code becomes a session, always a new one: a token that the browser brought along counts for nothing."""
    console = console_of(request)
    security.check_origin(request)
    _limit(console, request)
    found = console.database.console.sign_in((await security.form_of(request)).get("code", ""))
    if found is None:
        console.log(request, "a wrong or late code", Kind.ALARM)
        return page(request, "sign_in.html", None, invited=None, code="", wrong=True, status=403)
    if old := token_of(request):
        console.database.console.sign_out(old)
    token, session = found
    console.log(request, f"{session.name} ({session.role}) signed in")
    response = RedirectResponse("/", 303)
    security.set_session(response, security.cookie_name(console.lab), token, seconds=int(SESSION))
    return response


async def sign_out(request: Request) -> Response:
    """End this browser's session."""
    console, token = console_of(request), token_of(request)
    security.check_origin(request)
    session = console.database.console.session(token)
    if session is not None:
        security.check_form(await security.form_of(request), token)
        console.database.console.sign_out(token)
        console.log(request, f"{session.name} ({session.role}) signed out")
    response = RedirectResponse("/sign-in", 303)
    security.set_session(response, security.cookie_name(console.lab), "", seconds=0)
    return response


async def static(request: Request) -> Response:
    """A file that pages load; there is nothing secret in them."""
    found = pages.static(request.path_params["name"])
    if found is None:
        raise Problem(404, "no such file")
    return Response(found[0], media_type=found[1], headers={"cache-control": "max-age=3600"})


def _limit(console: Console, request: Request) -> None:
    if not (console.tries.allows(source_of(request)) and console.all_tries.allows("")):
        raise Problem(429, "too many tries: wait a minute")
