"""Making a class: a form, what would come of it by the command's own trial, the order; and its handouts to keep."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.classes import plan, record, sizes
from nodisk.classes.record import Class
from nodisk.console import class_files, class_making, errand_pages, multipart, security
from nodisk.console.class_making import MakeOrder, Typed
from nodisk.console.class_pages import class_of
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.multipart import Part
from nodisk.console.orders import error_of
from nodisk.console.rights import Right
from nodisk.errors import SpecError
from nodisk.records.console_access import ConsoleRole, Entry
from nodisk.server.handlers.common import Problem, body_of
from nodisk.server.own_command import Ended

MOST_FORM = 512 * 1024
"""Bytes of a form with a roster in it: as a field each letter of a name may take six."""
BAD_FILE = 3
"""The status of a command whose file has errors (docs/reference/exit-codes.md)."""


async def blank(console: Console, request: Request, session: Entry) -> Response:
    """The form."""
    return _form(request, session, Typed(), {})


async def preview(console: Console, request: Request, session: Entry) -> Response:
    """What would be made: the command tries it, and changes nothing."""
    typed, order = await _typed(console, request, session)
    if not isinstance(order, MakeOrder):
        return _form(request, session, typed, order, status=400)
    async with console.asking:
        ended = await console.errands.run(order.tried())
    shown = shown_by(ended)
    if shown is None:
        field = "roster" if ended.status == BAD_FILE else "all"
        return _form(request, session, typed, {field: error_of(ended.status, ended.errors)}, status=400)
    return page(request, "class_preview.html", session, typed=asdict(typed), order=order, said=said_by(ended), **shown)


async def make(console: Console, request: Request, session: Entry) -> Response:
    """Do it."""
    typed, order = await _typed(console, request, session)
    if not isinstance(order, MakeOrder):  # somebody was faster, or this is no form of ours
        return _form(request, session, typed, order, status=409)
    return RedirectResponse(f"/switched/{errand_pages.start(console, request, session, order).number}", 303)


async def handouts(console: Console, request: Request, session: Entry) -> Response:
    """A class's handouts, to keep. A form asks for them: there are keys in them."""
    security.check_origin(request)
    security.check_form(await security.form_of(request), token_of(request))
    found = class_of(console, session, request.path_params["name"])
    content = await asyncio.to_thread(_zip, found)
    if content is None:
        raise Problem(
            404, "the handouts of this class are not on the server any more: nodisk class rotate makes new ones"
        )
    console.log(request, f"{session.name} ({session.role}) took the handouts of class {found.name}")
    headers = {"content-disposition": f'attachment; filename="{found.name}.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


def order_of(console: Console, session: Entry, typed: Typed) -> MakeOrder | dict[str, str]:
    """The order of a form; what a teacher makes is the teacher's own."""
    teacher = session.name if session.role is ConsoleRole.TEACHER else None
    state = console.context.state
    taken = any(one.name == typed.name for one in record.load_all(state))
    return class_making.order(typed, teacher=teacher, out=state.handouts, taken=taken)


async def _typed(console: Console, request: Request, session: Entry) -> tuple[Typed, MakeOrder | dict[str, str]]:
    security.check_origin(request)
    form, file = await _form_of(request)
    security.check_form(form, token_of(request))
    typed = Typed.of(form)
    if file is not None and file.content:
        try:
            # The same reader as the command's; what it says may take a moment for a large file.
            typed = replace(typed, roster=await asyncio.to_thread(class_making.of_file, file))
        except SpecError as error:
            return typed, {"roster": f"{error.message}. {error.hint}" if error.hint else error.message}
    return typed, order_of(console, session, typed)


async def _form_of(request: Request) -> tuple[dict[str, str], Part | None]:
    """The form's fields, and the file that came with it; raises Problem 413 or 400."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith(multipart.MEDIA):
        return await security.form_of(request, MOST_FORM), None
    body = await body_of(request, MOST_FORM)
    try:
        found = multipart.parts(kind, body)
        fields = {name: part.content.decode() for name, part in found.items() if part.file is None}
    except ValueError as error:
        raise Problem(400, "not a form") from error
    file = found.get("file")
    return fields, file if file is not None and file.file is not None else None


def _form(request: Request, session: Entry, typed: Typed, wrong: dict[str, str], *, status: int = 200) -> Response:
    """The form with what was typed, and what is wrong beside its field."""
    own = session.role is ConsoleRole.TEACHER
    values: dict[str, Any] = {"typed": typed, "wrong": wrong, "own": own, "sizes": list(sizes.named())}
    limits = {"longest": class_making.LONGEST_ROSTER, "most": plan.LONGEST_DAYS}
    return page(request, "class_new.html", session, status=status, at="/classes/new", **values, **limits)


def shown_by(ended: Ended) -> dict[str, Any] | None:
    """What a trial says would be made: ``students`` and ``ends``; None: it failed, or says nothing of that kind."""
    try:
        found: Any = json.loads(ended.output) if ended.status == 0 else None
        students = [{key: str(one[key]) for key in ("name", "id", "namespace")} for one in found["students"]]
        return {"students": students, "ends": str(found["expires"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def said_by(ended: Ended) -> list[str]:
    """What a trial says besides: how it read the roster, and what the class asks of the room."""
    return [line for line in ended.errors.splitlines() if line.strip()][:20]


def _zip(found: Class) -> bytes | None:
    """The class's handouts; None: they are gone."""
    return None if found.out is None else class_files.read(Path(found.out) / f"{found.name}.zip")


ROUTES = (
    Route("/classes/new", signed_in(blank, Right.CLASSES)),
    Route("/classes/new", signed_in(preview, Right.CLASSES), methods=["POST"]),
    Route("/classes/make", signed_in(make, Right.CLASSES), methods=["POST"]),
    Route("/class/{name}/handouts", signed_in(handouts, Right.CLASSES), methods=["POST"]),
)
