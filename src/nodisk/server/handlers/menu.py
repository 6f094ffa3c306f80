"""What a machine of the lab starts: what it asks for, what it is to start next, its menu, or its default."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.errors import IntegrityError
from nodisk.plan import menu as ipxe_menu
from nodisk.records import menu_password
from nodisk.records.events import Kind
from nodisk.server.handlers.common import AppState, Problem, app_state_of, source_of
from nodisk.spec import menu
from nodisk.spec.model import Machine
from nodisk.values import Mac

log = logging.getLogger("nodisk.server")


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry, or ``menu`` itself."""

    entry: str
    why: str
    """For the event; '' where the machine does what it always did."""
    chosen: bool = False
    """Somebody chose it, at the machine or by ``nodisk next-boot``: that counts before the timetable."""


def wish(request: Request, machine: Machine) -> Wish:
    """What a request of the machine itself is answered with.

    Only one without an ``entry`` is a boot that nodisk decides about: it gets what ``nodisk next-boot`` asked for.
    """
    app_state, query = app_state_of(request), request.query_params
    asked, choice = query.get("entry", ""), menu.choice(app_state.texts.lab, machine)
    plain = choice == menu.Choice(menu.LAB, 0)
    if asked == menu.MENU:
        return Wish(menu.MENU, "its menu", chosen=True)
    if asked:
        able = asked in menu.names(app_state.texts.lab)
        why = "" if plain and asked == menu.LAB else f"{asked}, chosen in its menu"
        return Wish(asked if able else "", why, chosen=True)
    if (told := _told(app_state, machine, begins=query.get("boot") == "new")) is not None:
        return told
    if choice.timeout:
        return Wish(menu.MENU, f"its menu, for {choice.timeout} s; then {choice.default}")
    return Wish(choice.default, "" if plain else f"{choice.default}, its default")


def _told(app_state: AppState, machine: Machine, *, begins: bool) -> Wish | None:
    found = app_state.database.next_boots.serve(machine.mac, begins=begins)
    if found is None:
        return None
    how = "once" if found.once else "until cleared"
    if found.entry not in menu.names(app_state.texts.lab):
        text = f"next boot: the menu has no entry {found.entry} any more; it gets its default"
        _note(app_state, machine.mac, machine, "next-boot", text)
        return None
    return Wish(found.entry, f"{found.entry}, {how}, as next-boot says", chosen=True)


async def by_password(request: Request, mac: Mac) -> Response:
    """An entry that asks for the menu's password: 401 without one, 403 for a wrong one.

    A machine that lab.yaml doesn't know gets the shell only.
    """
    app_state, source, entry = app_state_of(request), source_of(request), request.query_params["entry"]
    machine = app_state.machine(mac)
    if machine is None and entry != menu.SHELL:
        raise Problem(404, "no such entry")
    header = request.headers.get("authorization")
    if header is None:
        # iPXE sends what its URL has only when it is asked.
        return PlainTextResponse("password\n", 401, {"WWW-Authenticate": 'Basic realm="nodisk"'})
    password = menu_password.given(header)
    if password is None:
        raise Problem(400, "this takes HTTP's Basic authentication")
    if not app_state.limits.password(source):
        text = f"many tries of the menu's password from {source}; more are refused for a while"
        app_state.alarm("menu password", text, request=request, mac=mac)
        raise Problem(429, "too many tries; wait a minute")
    if not await _right(app_state, password):
        _note(app_state, mac, machine, source, f"wrong password for {entry} of the menu")
        raise Problem(403, "wrong password, or none is set: nodisk menu password")
    _note(app_state, mac, machine, source, f"{entry} of the menu, by password")
    if machine is None:
        return PlainTextResponse(ipxe_menu.shell_script())
    if entry != menu.SHELL:
        app_state.database.elsewhere.went(mac, entry)
    return PlainTextResponse(app_state.texts.other(machine, entry))


async def _right(app_state: AppState, password: bytes) -> bool:
    if app_state.menu_password is None:
        return False
    try:
        return await asyncio.to_thread(menu_password.right, app_state.menu_password, password)
    except (IntegrityError, OSError) as error:
        log.warning("the menu's password can't be checked: %s", error)
        return False


def _note(app_state: AppState, mac: Mac, machine: Machine | None, source: str, text: str) -> None:
    """Record it; the limit on tries bounds how often."""
    name = None if machine is None else str(machine.name)
    app_state.database.record(Kind.DAEMON, text, source=source, mac=mac, machine=name)
