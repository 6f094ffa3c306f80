"""The API's methods for classes: what they are, what is changed of them, codes for their doors."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nodisk.classes import handouts, record
from nodisk.classes.record import Class
from nodisk.console import class_orders, class_pages, code_orders, code_pages, making_pages, rights, tell_pages
from nodisk.console.api_bodies import Changing, Coding, Making, Telling, body
from nodisk.console.api_endpoint import Endpoint, begun, need_token
from nodisk.console.class_making import MakeOrder, Typed
from nodisk.console.class_pages import class_of, told
from nodisk.console.common import Console
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.records.events import iso


async def classes(console: Console, request: Request, session: Entry) -> Response:
    """A teacher's own classes, an administrator's all."""
    found = rights.theirs(session, record.load_all(console.context.state))
    return JSONResponse({"classes": [_class_json(one) for one in found]})


async def class_(console: Console, request: Request, session: Entry) -> Response:
    """One class, with its students."""
    found = class_of(console, session, request.path_params["name"])
    seen, doors = console.database.door.seen(found.name), class_pages.doors(console, found)
    students = [
        {
            "name": one.name,
            "label": one.label,
            "namespace": found.namespace(one),
            "suspended": one.suspended,
            "credential_until": None if one.expires is None else iso(one.expires.timestamp()),
            "last_sign_in": iso(seen[one.key]) if one.key in seen else None,
            "door": doors.get(one.key),
        }
        for one in found.students
    ]
    message = told(console, found)
    now = {"message": None if message is None else message.to_json(), "cards": class_pages.has_cards(found)}
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


async def troubles(console: Console, request: Request, session: Entry) -> Response:
    """What fails in the namespaces of a class's students."""
    found = class_of(console, session, request.path_params["name"])
    async with console.students_asking:
        together = await asyncio.to_thread(console.together, console.context, found)
    return JSONResponse({"troubles": [one.to_json() for one in together.troubles]})


async def change(console: Console, request: Request, session: Entry) -> Response:
    """Begin to change a class."""
    asked, found = await body(request, Changing), class_of(console, session, request.path_params["name"])
    days = "" if asked.days is None else str(asked.days)
    order = class_orders.order(found, asked.action, asked.students, every=asked.all, days=days)
    return begun(console, request, session, order, "name students of the class by label, or all; extend needs days")


async def codes(console: Console, request: Request, session: Entry) -> Response:
    """Begin to make codes for a class's door."""
    asked, found = await body(request, Coding), class_of(console, session, request.path_params["name"])
    waiting = class_pages.waiting(console, found)
    order = code_orders.order(found, waiting, asked.action, asked.students, every=asked.all)
    return begun(
        console, request, session, order,
        "name students of a class with a door by label, or all; who has a code or a passphrase needs renew_codes",
    )  # fmt: skip


async def cards(console: Console, request: Request, session: Entry) -> Response:
    """Take the cards with codes: as the page to print, and each code by its student's login."""
    token = need_token(request)
    found = class_of(console, session, request.path_params["name"])
    page = (await code_pages.take(console, request, session, found, token)).decode("utf-8", "replace")
    dealt = [{"login": login, "code": code} for login, code in handouts.on_cards(page).items()]
    return JSONResponse({"class": found.name, "cards": dealt, "page": page})


async def make(console: Console, request: Request, session: Entry) -> Response:
    """Begin to make a class."""
    asked = await body(request, Making)
    told = asked.model_dump() | {"days": str(asked.days), "teachers": ",".join(asked.teachers)}
    order = making_pages.order_of(console, session, Typed.of(told))
    if isinstance(order, MakeOrder):
        return begun(console, request, session, order, "")
    return begun(console, request, session, None, "; ".join(f"{key}: {words}" for key, words in order.items()))


async def tell(console: Console, request: Request, session: Entry) -> Response:
    """Tell a class something."""
    asked, found = await body(request, Telling), class_of(console, session, request.path_params["name"])
    order = tell_pages.order_of(found, session, asked.text, withdraw=asked.withdraw)
    return begun(console, request, session, order, "")


ENDPOINTS = (
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
        "GET", "/api/classes/{name}/troubles", Right.CLASSES, troubles,
        "What fails in the students' namespaces, in plain words, and what to do.",
        "nodisk class show NAME --troubles --output json",
    ),
    Endpoint(
        "POST", "/api/classes/{name}/change", Right.CLASSES, change,
        "Suspend, resume, rotate, reset or extend; the answer says where to ask what came of it.",
        "nodisk class", body=Changing, status=202,
    ),
    Endpoint(
        "POST", "/api/classes/{name}/codes", Right.CLASSES, codes,
        "Make or renew codes for the door; once the order is done, there are cards with them.",
        "nodisk class codes NAME --print", body=Coding, status=202,
    ),
    Endpoint(
        "POST", "/api/classes/{name}/cards", Right.CLASSES, cards,
        "Take the cards with codes, once: the server deletes them, and keeps only the codes' hashes.",
        "nodisk class codes NAME --print",
    ),
    Endpoint(
        "POST", "/api/classes/{name}/tell", Right.CLASSES, tell, "Tell a class something, or withdraw it.",
        "nodisk class tell", body=Telling, status=202,
    ),
)  # fmt: skip
