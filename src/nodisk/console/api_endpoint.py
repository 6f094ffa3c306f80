"""What the methods of the console's API have in common: their description, and an order that one of them begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nodisk.console import errand_pages
from nodisk.console.api_bodies import Body
from nodisk.console.common import API, Console, Handler, bearer_of
from nodisk.console.errands import Errand
from nodisk.console.orders import AnyOrder
from nodisk.console.rights import Right
from nodisk.records.console_access import Entry
from nodisk.records.events import iso
from nodisk.server.handlers.common import Problem


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


def need_token(request: Request) -> str:
    """The program's token; raises Problem 401 for a request that has none, such as a browser's."""
    token = bearer_of(request)
    if token is None:
        raise Problem(401, "a program's token is needed: nodisk console token")
    return token


def begun(console: Console, request: Request, session: Entry, order: AnyOrder | None, hint: str) -> Response:
    """Begin an order; the answer says where to ask what came of it. Raises Problem 400 with the hint for none."""
    need_token(request)
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
