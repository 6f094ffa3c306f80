"""The API's methods for the room: machines and unknown ones, what happened, backups, the upgrade."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nodisk.console import (
    boot_orders,
    boot_pages,
    care_orders,
    care_pages,
    orders,
    remark_orders,
    unknown_pages,
    upgrade_pages,
)
from nodisk.console.api_bodies import (
    Adopting,
    Booting,
    BootingMany,
    Caring,
    Ignoring,
    Machines,
    Noting,
    Switching,
    Upgrading,
    body,
)
from nodisk.console.api_endpoint import Endpoint, begun, need_token
from nodisk.console.common import API, Console
from nodisk.console.remark_orders import IgnoreOrder
from nodisk.console.rights import Right
from nodisk.machines import adopting
from nodisk.machines.status import to_json
from nodisk.records import remarks
from nodisk.records.console_access import Entry
from nodisk.records.events import Kind
from nodisk.server.handlers.common import Problem
from nodisk.spec import menu
from nodisk.upgrade.progress import Progress

EVENTS = 200
NOBODY = "name machines of the lab, a row in which some sit, or all"


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


async def adopt(console: Console, request: Request, session: Entry) -> Response:
    """Write an unknown machine into lab.yaml, and have the server take that over once the answer is sent."""
    need_token(request)
    asked = await body(request, Adopting)
    found = unknown_pages.adoption_of(
        console, {"mac": request.path_params["mac"], "name": asked.name, "seat": asked.seat}
    )
    machine = await unknown_pages.adopted(console, request, session, found)
    told = {
        "command": found.line,
        "name": str(machine.name),
        "mac": str(machine.mac),
        "address": str(machine.address),
        "seat": None if machine.seat is None else str(machine.seat),
    }
    return JSONResponse(told, background=BackgroundTask(console.reload))


async def ignore(console: Console, request: Request, session: Entry) -> Response:
    """Leave an unknown machine out of the list, or show it again."""
    asked = await body(request, Ignoring)
    order = IgnoreOrder(asked.action, unknown_pages.mac_of(console, request.path_params["mac"]))
    return begun(console, request, session, order, "")


async def switch(console: Console, request: Request, session: Entry) -> Response:
    """Begin to switch machines."""
    asked = await body(request, Switching)
    order = orders.order(console.lab, asked.action, asked.machines, row=_row(asked), every=asked.all)
    return begun(console, request, session, order, NOBODY)


async def next_boots(console: Console, request: Request, session: Entry) -> Response:
    """What was chosen for machines' next boot."""
    lab = console.lab
    told = [
        {"name": str(one.name), "next_boot": chosen or None, "default": menu.choice(lab, one).default}
        for one, chosen in zip(lab.machines, boot_pages.chosen(console, lab.machines), strict=True)
    ]
    return JSONResponse({"machines": told, "entries": list(menu.names(lab))})


async def choose_next_boots(console: Console, request: Request, session: Entry) -> Response:
    """Choose what machines start at their next boot."""
    asked = await body(request, BootingMany)
    order = boot_orders.order(console.lab, asked.action, asked.machines, asked.entry, row=_row(asked), every=asked.all)
    return begun(console, request, session, order, f"{NOBODY}; and an entry without a password, except to clear")


async def next_boot(console: Console, request: Request, session: Entry) -> Response:
    """Choose what a machine starts at its next boot."""
    asked = await body(request, Booting)
    order = boot_orders.order(console.lab, asked.action, [request.path_params["name"]], asked.entry)
    return begun(console, request, session, order, "name a machine of the lab, and an entry without a password")


async def note(console: Console, request: Request, session: Entry) -> Response:
    """Note that PCs are broken or mended."""
    asked = await body(request, Noting)
    try:
        order = remark_orders.order(
            console.lab, asked.action, asked.machines, asked.note, row=_row(asked), every=asked.all
        )
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return begun(console, request, session, order, NOBODY)


def _row(asked: Machines) -> str:
    return "" if asked.row is None else str(asked.row)


async def addons(console: Console, request: Request, session: Entry) -> Response:
    """The cluster's add-ons."""
    if not console.lab.has_cluster:
        raise Problem(404, "this lab has no cluster")
    found = await care_pages.addons_of(console)
    return JSONResponse({"addons": [one.to_json() for one in found]})


async def care(console: Console, request: Request, session: Entry) -> Response:
    """Begin to make or prove a backup."""
    asked = await body(request, Caring)
    order = care_orders.order(console.lab, asked.action)
    return begun(console, request, session, order, "lab.yaml names no place for backups: backup.target")


async def upgrade(console: Console, request: Request, session: Entry) -> Response:
    """Where the upgrade stands, or what one would do."""
    found = await asyncio.to_thread(upgrade_pages.look, console)
    return JSONResponse(_progress_json(found))


async def begin_upgrade(console: Console, request: Request, session: Entry) -> Response:
    """Begin the upgrade, go on with it, or go back."""
    need_token(request)
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
        "POST", "/api/unknown/{mac}/adopt", Right.CARE, adopt,
        "Write an unknown machine into lab.yaml; the console is away for seconds after the answer.",
        "nodisk machines adopt", body=Adopting,
    ),
    Endpoint(
        "POST", "/api/unknown/{mac}/ignore", Right.CARE, ignore,
        "Leave an unknown machine out of the list, or show it again.", "nodisk machines ignore", body=Ignoring,
        status=202,
    ),
    Endpoint(
        "POST", "/api/switch", Right.SWITCH, switch,
        "Switch machines, or empty their nodes; the answer says where to ask what came of it.",
        "nodisk power", body=Switching, status=202,
    ),
    Endpoint(
        "GET", "/api/next-boot", Right.ROOM, next_boots,
        "What was chosen for machines' next boot, what they start otherwise, and what can be chosen.",
        "nodisk next-boot --output json",
    ),
    Endpoint(
        "POST", "/api/next-boot", Right.SWITCH, choose_next_boots, "Choose what machines start at their next boot.",
        "nodisk next-boot", body=BootingMany, status=202,
    ),
    Endpoint(
        "POST", "/api/machines/{name}/next-boot", Right.SWITCH, next_boot,
        "Choose what a machine starts at its next boot.", "nodisk next-boot", body=Booting, status=202,
    ),
    Endpoint(
        "POST", "/api/notes", Right.SWITCH, note,
        "Note that PCs are broken, with what is wrong, or mended; /api/status shows the notes.",
        "nodisk machines broken", body=Noting, status=202,
    ),
    Endpoint(
        "GET", "/api/addons", Right.CARE, addons, "The cluster's add-ons, with what is wrong with them.",
        "nodisk addons list --output json",
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
)  # fmt: skip
