"""Two machines with one MAC, told apart by what iPXE says of their mainboards.

Both have the same address too, so only one of them may run. Which one is right the server can't know: the one that runs
stays, the other gets nothing, and an alarm names both. If nobody with that MAC runs, another mainboard is a repair.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from nodisk.records import sightings
from nodisk.records.nonces import LIFETIME
from nodisk.records.sightings import Sighting
from nodisk.server.handlers.common import app_state_of
from nodisk.spec.model import Machine
from nodisk.values import Mac

WITHIN = LIFETIME
"""Seconds after a machine's request for which it may still be on its way to a node."""


async def refused(request: Request, machine: Machine, said: Mapping[str, str]) -> bool:
    """Whether a lab's machine is the second one with its MAC; an alarm says so."""
    app_state = app_state_of(request)
    first = app_state.database.sightings.of(machine.mac)
    if first is None or not sightings.another(first.said, said):
        return False
    ago = app_state.database.now() - first.last
    ready = await app_state.ready(str(machine.name))
    if not ready and not 0 <= ago < WITHIN:
        return False
    doing = "whose node is Ready" if ready else f"which asked {ago / 60:.0f} min ago"
    text = (
        f"two machines have the MAC of {machine.name}: {sightings.board(said)} asks and gets nothing; it is not "
        f"{sightings.board(first.said)}, {doing}. After a repair it may boot once the other has been off for "
        f"{WITHIN / 60:.0f} min"
    )
    app_state.alarm("twin", text, request=request, mac=machine.mac)
    return True


def changed(first: Sighting | None, said: Mapping[str, str]) -> tuple[str, str]:
    """A word on a machine's new mainboard, and one on its new switch port; '' for what is as it was."""
    if first is None:
        return "", ""
    board = f"another mainboard: {sightings.board(said)}; before: {sightings.board(first.said)}"
    return board if sightings.another(first.said, said) else "", sightings.moved(first.said, said)


def note(request: Request, mac: Mac, said: Mapping[str, str]) -> None:
    """The same of machines that lab.yaml doesn't know. They get no more than their menu: the alarm is all."""
    app_state = app_state_of(request)
    if not any(name in said for name in sightings.MAINBOARD):
        return
    first, now = app_state.database.sightings.of(mac), app_state.database.now()
    if first is not None and sightings.another(first.said, said) and now - app_state.told.get(mac, -WITHIN) < WITHIN:
        text = f"two machines have the MAC {mac}: {sightings.board(first.said)}; and {sightings.board(said)}"
        app_state.alarm("twin", text, request=request, mac=mac)
    app_state.told.pop(mac, None)
    app_state.told[mac] = now
    if len(app_state.told) > sightings.KEEP:
        app_state.told.pop(next(iter(app_state.told)))
