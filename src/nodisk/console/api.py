"""The same by a program: what pages show, as JSON, and the orders that they take.

A program shows a token of its own, which no browser sends by itself; so what changes something takes a token alone, and
no page of another site can make a browser ask for it. ``api_document`` describes all of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodisk.classes import record
from nodisk.classes.record import Class
from nodisk.console import (
    boot_orders,
    care_orders,
    class_orders,
    errand_pages,
    making_pages,
    orders,
    rights,
    tell_pages,
    upgrade_pages,
)
from nodisk.console.api_bodies import Body, Booting, Caring, Changing, Making, Switching, Telling, Upgrading, body
from nodisk.console.class_making import MakeOrder, Typed
from nodisk.console.class_pages import class_of, told
from nodisk.console.common import API, Console, Handler, bearer_of, signed_in
from nodisk.console.errands import Errand
from nodisk.console.orders import AnyOrder
from nodisk.console.rights import Right
from nodisk.machines import adopting
from nodisk.machines.status import to_json
from nodisk.records import remarks
from nodisk.records.console_access import Entry
from nodisk.records.events import Kind, iso
from nodisk.server.handlers.common import Problem
from nodisk.upgrade.progress import Progress

EVENTS = 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    right: Right
    handler: Handler
    summary: str
    command: str
    """The command of nodisk that does or says the same."""
    body: type[Body] | None = None
    query: tuple[tuple[str, str], ...] = ()
    """Parameters, each with what it means."""
    status: int = 200


async def status(console: Console, request: Request, session: Entry) -> Response:
    """What ``nodisk status --output json`` prints."""
    return JSONResponse(to_json(await console.snapshot.status()))


async def events(console: Console, request: Request, session: Entry) -> Response:
    """The newest events, the oldest of them first."""
    alarms = request.query_params.get("alarms") == "1"
    found = console.database.events(kinds=(Kind.ALARM,) if alarms else (), limit=EVENTS)
    return JSONResponse({"events": [one.to_json() for one in found]})


async def unknown(console: Console, request: Request, session: Entry) -> Response:
    """Machines that asked for a boot script and are not in lab.yaml."""
    ignored = console.database.remarks.all(remarks.Kind.IGNORED)
    found = adopting.unknown(console.lab, adopting.seen_in(console.database))
    return JSONResponse(
        {"machines": [{"mac": str(one.mac), "ignored": one.mac in ignored} | one.to_json() for one in found]}
    )


async def classes(console: Console, request: Request, session: Entry) -> Response:
    """A teacher's own classes, an administrator's all."""
    found = rights.theirs(session, record.load_all(console.context.state))
    return JSONResponse({"classes": [_class_json(one) for one in found]})


async def class_(console: Console, request: Request, session: Entry) -> Response:
    """One class, with its students."""
    found = class_of(console, session, request.path_params["name"])
    seen = console.database.door.seen(found.name)
    students = [
        {
            "name": one.name,
            "label": one.label,
            "namespace": found.namespace(one),
            "suspended": one.suspended,
            "credential_until": None if one.expires is None else iso(one.expires.timestamp()),
            "last_sign_in": iso(seen[one.key]) if one.key in seen else None,
        }
        for one in found.students
    ]
    message = told(console, found)
    now = {"message": None if message is None else message.to_json()}
    return JSONResponse(_class_json(found) | now | {"members": students})


def _class_json(found: Class) -> dict[str, Any]:
    return {
        "name": found.name,
        "ends": iso(found.expires.timestamp()),
        "size": found.size_name,
        "role": found.role,
        "teachers": [one.name for one in found.teachers],
        "students": len(found.students),
        "suspended": sum(one.suspended for one in found.students),
    }


async def switch(console: Console, request: Request, session: Entry) -> Response:
    """Begin to switch machines."""
    asked = await body(request, Switching)
    row = "" if asked.row is None else str(asked.row)
    order = orders.order(console.lab, asked.action, asked.machines, row=row, every=asked.all)
    return _begun(console, request, session, order, "name machines of the lab, a row in which some sit, or all")


async def next_boot(console: Console, request: Request, session: Entry) -> Response:
    """Choose what a machine starts at its next boot."""
    asked = await body(request, Booting)
    order = boot_orders.order(console.lab, asked.action, [request.path_params["name"]], asked.entry)
    return _begun(console, request, session, order, "name a machine of the lab, and an entry without a password")


async def change(console: Console, request: Request, session: Entry) -> Response:
    """Begin to change a class."""
    asked, found = await body(request, Changing), class_of(console, session, request.path_params["name"])
    days = "" if asked.days is None else str(asked.days)
    order = class_orders.order(found, asked.action, asked.students, every=asked.all, days=days)
    return _begun(console, request, session, order, "name students of the class by label, or all; extend needs days")


async def make(console: Console, request: Request, session: Entry) -> Response:
    """Begin to make a class."""
    asked = await body(request, Making)
    told = asked.model_dump() | {"days": str(asked.days), "teachers": ",".join(asked.teachers)}
    order = making_pages.order_of(console, session, Typed.of(told))
    if isinstance(order, MakeOrder):
        return _begun(console, request, session, order, "")
    return _begun(console, request, session, None, "; ".join(f"{key}: {words}" for key, words in order.items()))


async def tell(console: Console, request: Request, session: Entry) -> Response:
    """Tell a class something."""
    asked, found = await body(request, Telling), class_of(console, session, request.path_params["name"])
    order = tell_pages.order_of(found, session, asked.text, withdraw=asked.withdraw)
    return _begun(console, request, session, order, "")


async def care(console: Console, request: Request, session: Entry) -> Response:
    """Begin to make or prove a backup."""
    asked = await body(request, Caring)
    order = care_orders.order(console.lab, asked.action)
    return _begun(console, request, session, order, "lab.yaml names no place for backups: backup.target")


async def upgrade(console: Console, request: Request, session: Entry) -> Response:
    """Where the upgrade stands, or what one would do."""
    found = await asyncio.to_thread(upgrade_pages.look, console)
    return JSONResponse(_progress_json(found))


async def begin_upgrade(console: Console, request: Request, session: Entry) -> Response:
    """Begin the upgrade, go on with it, or go back."""
    _need_token(request)
    asked = await body(request, Upgrading)
    order = await asyncio.to_thread(upgrade_pages.order_of, console, asked.action)
    await upgrade_pages.start(console, request, session, order)
    told = {"command": order.line, "targets": list(order.targets)}
    return JSONResponse(told, 202, headers={"location": f"{API}upgrade"})


def _progress_json(found: Progress) -> dict[str, Any]:
    return {
        "build": found.build,
        "machines": [{"name": one.name, "booted": str(one.runs)} for one in found.machines],
        "steps": [list(step) for step in found.left],
        "done": list(found.done),
        "away": list(found.away),
        "underway": found.underway,
        "back": found.back,
        "runs": found.runs,
    }


def _need_token(request: Request) -> None:
    if bearer_of(request) is None:
        raise Problem(401, "a program's token is needed: nodisk console token")


def _begun(console: Console, request: Request, session: Entry, order: AnyOrder | None, hint: str) -> Response:
    _need_token(request)
    if order is None:
        raise Problem(400, hint)
    errand = errand_pages.start(console, request, session, order)
    return JSONResponse(_errand_json(errand), 202, headers={"location": f"{API}orders/{errand.number}"})


async def order_(console: Console, request: Request, session: Entry) -> Response:
    """How far an order is, and what came of it."""
    errand = errand_pages.find(console, session, request.path_params["number"])
    if errand is None:
        raise Problem(404, "that order is forgotten, or there never was one")
    return JSONResponse(_errand_json(errand))


def _errand_json(errand: Errand) -> dict[str, Any]:
    came = errand.came
    return {
        "number": errand.number,
        "command": errand.order.line,
        "by": errand.who,
        "began": iso(errand.began),
        "targets": list(errand.order.targets),
        "done": came is not None,
        "came": [{"name": one.name, "outcome": str(one.outcome), "detail": one.detail} for one in came or ()],
    }


ENDPOINTS = (
    Endpoint("GET", "/api/status", Right.ROOM, status, "The lab and its machines.", "nodisk status --output json"),
    Endpoint(
        "GET", "/api/events", Right.ACTIVITY, events, f"The newest {EVENTS} events, oldest first.",
        "nodisk events --output json", query=(("alarms", "1: only alarms"),),
    ),
    Endpoint(
        "GET", "/api/unknown", Right.CARE, unknown, "Machines that asked for a boot script and are not in lab.yaml.",
        "nodisk machines list --unknown --output json",
    ),
    Endpoint(
        "POST", "/api/switch", Right.SWITCH, switch,
        "Switch machines, or empty their nodes; the answer says where to ask what came of it.",
        "nodisk power", body=Switching, status=202,
    ),
    Endpoint(
        "POST", "/api/machines/{name}/next-boot", Right.SWITCH, next_boot,
        "Choose what a machine starts at its next boot.", "nodisk next-boot", body=Booting, status=202,
    ),
    Endpoint(
        "POST", "/api/backups", Right.CARE, care,
        "Make a backup, or prove the newest; the answer says where to ask what came of it.",
        "nodisk backup", body=Caring, status=202,
    ),
    Endpoint(
        "GET", "/api/upgrade", Right.CARE, upgrade, "Where the upgrade stands, or what one would do.",
        "nodisk upgrade --dry-run --output json",
    ),
    Endpoint(
        "POST", "/api/upgrade", Right.SWITCH, begin_upgrade,
        "Boot machines into the current build, or return them to the one that they had.",
        "nodisk upgrade", body=Upgrading, status=202,
    ),
    Endpoint(
        "GET", "/api/classes", Right.CLASSES, classes, "Classes: a teacher's own, an administrator's all.",
        "nodisk class list --output json",
    ),
    Endpoint(
        "POST", "/api/classes", Right.CLASSES, make, "Make a class; the answer says where to ask what came of it.",
        "nodisk class create NAME --new", body=Making, status=202,
    ),
    Endpoint(
        "GET", "/api/classes/{name}", Right.CLASSES, class_, "One class with its students.",
        "nodisk class show NAME --output json",
    ),
    Endpoint(
        "POST", "/api/classes/{name}/change", Right.CLASSES, change,
        "Suspend, resume, rotate, reset or extend; the answer says where to ask what came of it.",
        "nodisk class", body=Changing, status=202,
    ),
    Endpoint(
        "POST", "/api/classes/{name}/tell", Right.CLASSES, tell, "Tell a class something, or withdraw it.",
        "nodisk class tell", body=Telling, status=202,
    ),
    Endpoint(
        "GET", "/api/orders/{number}", Right.CLASSES, order_, "How far an order is, and what came of it.",
        "nodisk events",
    ),
)  # fmt: skip

ROUTES = tuple(Route(one.path, signed_in(one.handler, one.right), methods=[one.method]) for one in ENDPOINTS)
