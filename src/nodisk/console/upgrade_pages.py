"""The upgrade in the console: how far it is, what it did before, and its beginning.

An upgrade isn't an errand: it makes the server restart, and takes longer than anybody watches. So it runs by itself,
and the page shows what its journal, its lock and its output say.
"""

from __future__ import annotations

import asyncio
import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nodisk.console import errand_pages, security, upgrade_orders
from nodisk.console.common import Console, page, signed_in, token_of
from nodisk.console.rights import Right
from nodisk.console.upgrade_orders import UpgradeOrder
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.records.console_access import Entry
from nodisk.records.events import Event, Kind
from nodisk.server.handlers.common import Problem
from nodisk.spec.load import load
from nodisk.spec.model import Lab
from nodisk.upgrade.plan import Wave
from nodisk.upgrade.progress import Progress, progress

LOG = "upgrade.log"
"""What an upgrade that was begun here says, in the lab's folder of logs."""
LINES, BYTES = 20, 8192
"""Of its end, what is shown."""
HISTORY, LOOKED_AT = 20, 2000
"""The newest events about upgrades, and the newest events among which they are looked for."""
_OURS = ("upgraded ", "console: ")
_BACK = " went back to the build before"


async def upgrade(console: Console, request: Request, session: Entry) -> Response:
    """Where it stands."""
    shown = await values(console)
    return page(request, "upgrade.html", session, **shown, history=_history(console))


async def values(console: Console) -> dict[str, Any]:
    """What the changing part of the page shows."""
    found, wrong = None, ""
    try:
        found = await asyncio.to_thread(look, console)
    except NodiskError as error:
        wrong = f"{error.message} ({error.hint})" if error.hint else error.message
    said = await asyncio.to_thread(tail, console.context.state.log / LOG)
    return {
        "found": found,
        "wrong": wrong,
        "said": said,
        "offered": () if found is None else upgrade_orders.actions(found),
    }


async def confirm(console: Console, request: Request, session: Entry) -> Response:
    """What would be done; nothing is yet."""
    order = await asyncio.to_thread(order_of, console, request.query_params.get("action", ""))
    address, effect = f"/upgrade/order?action={order.action}", upgrade_orders.EFFECTS[order.action]
    back = ("/upgrade", "Back to the upgrade")
    return errand_pages.ask(request, session, order, address=address, effect=effect, back=back)


async def begin(console: Console, request: Request, session: Entry) -> Response:
    """Begin it, and lead to how far it is."""
    security.check_origin(request)
    form = await security.form_of(request)
    security.check_form(form, token_of(request))
    order = await asyncio.to_thread(order_of, console, request.query_params.get("action", ""))
    errand_pages.check_count(form, order.targets)
    await start(console, request, session, order)
    return RedirectResponse("/upgrade", 303)


async def start(console: Console, request: Request, session: Entry, order: UpgradeOrder) -> None:
    """Have it done by a process of its own, and recorded."""
    context = console.context
    log = context.state.log / LOG
    await asyncio.to_thread(console.detach, order.words, context.file, context.state.state.root, log)
    console.log(request, f"{session.name} ({session.role}): {order.line}")


def look(console: Console) -> Progress:
    """Where it stands; raises NodiskError where nobody can say."""
    return progress(_as_it_is(console.context), Wave.usual())


def _as_it_is(context: LabContext) -> LabContext:
    """The lab as lab.yaml has it now: changed for the build to which this goes, and read by the server before."""
    try:
        now = context.file.stat()
    except OSError as error:
        raise EnvironmentProblem(f"{context.file} can't be read: {error.strerror}") from error
    lab = _read(context.file, now.st_mtime_ns, now.st_size, now.st_ino)
    if lab.name != context.lab.name:
        raise EnvironmentProblem(f"{context.file} is of lab {lab.name} now, and this console of {context.lab.name}")
    return replace(context, lab=lab)


@functools.lru_cache(maxsize=2)
def _read(file: Path, *_version: int) -> Lab:
    return load(file)


def order_of(console: Console, action: str) -> UpgradeOrder:
    """The order of that name; raises Problem 409 if there is none for now, NodiskError where nobody can say."""
    order = upgrade_orders.order(look(console), action)
    if order is None:
        raise Problem(409, "there is nothing of that kind to be done now: see the upgrade's page")
    return order


def tail(log: Path) -> tuple[float, str] | None:
    """When something was said last (seconds since 1970), and the last lines of it; None: nothing was."""
    try:
        with log.open("rb") as file:
            told = os.fstat(file.fileno())
            file.seek(max(0, told.st_size - BYTES))
            lines = file.read(BYTES).decode(errors="replace").splitlines()
    except OSError:
        return None
    return told.st_mtime, "\n".join(lines[-LINES:])


def _history(console: Console) -> list[Event]:
    events = console.database.events(kinds=(Kind.DAEMON,), limit=LOOKED_AT)
    return [event for event in events if _about(event.detail)][-HISTORY:][::-1]


def _about(detail: str) -> bool:
    ours = detail.startswith(_OURS)
    return (ours and (": nodisk upgrade" in detail or detail.startswith(_OURS[0]))) or detail.endswith(_BACK)


ROUTES = (
    Route("/upgrade", signed_in(upgrade, Right.CARE)),
    Route("/upgrade/order", signed_in(confirm, Right.SWITCH)),
    Route("/upgrade/order", signed_in(begin, Right.SWITCH), methods=["POST"]),
)
