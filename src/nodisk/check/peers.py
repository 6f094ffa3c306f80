"""How the last boots with peers went: whether machines got anything from each other, and who gave altered parts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from nodisk.check.findings import Finding, ok, warning
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.values import Stage

_NAME = "peers"
RECENT = 7 * 24 * 3600.0
"""Seconds for which a boot counts."""
TOGETHER = 1800.0
"""Machines whose boots are no further apart, in seconds, had each other to ask."""
ENOUGH = 3
"""Boots from which something follows."""
_CAME = re.compile(r"(\d{1,6}) MiB from the server, (\d{1,6}) from other machines")
_DENIED = re.compile(r"rootfs: peer (\d{1,3}(?:\.\d{1,3}){3}) gave what the list of chunks denies\b.*")


def peers(lab: Lab, state: LabState) -> list[Finding]:
    """Nothing where lab.yaml has no `peers`."""
    if lab.peers is None:
        return []
    with Database(state.database, reading=True) as database:
        return list(judge(lab, database.events(since=time.time() - RECENT, kinds=(Kind.STAGE,))))


def judge(lab: Lab, events: Iterable[Event]) -> Iterator[Finding]:
    """What follows from machines' reports, in the order in which they came."""
    names = {machine.mac: str(machine.name) for machine in lab.machines}
    came: dict[str, tuple[float, int, int]] = {}
    accused: dict[str, set[str]] = {}
    for event in events:
        name = names.get(event.mac) if event.mac is not None else None
        if name is None:
            continue
        if event.stage is Stage.ROOTFS and (found := _CAME.fullmatch(event.detail)):
            came[name] = (event.time, int(found[1]), int(found[2]))
        elif denied := _DENIED.fullmatch(event.detail):
            accused.setdefault(denied[1], set()).add(name)
    yield from _accused(lab, accused)
    yield _together(list(came.values()))


def _accused(lab: Lab, accused: dict[str, set[str]]) -> Iterator[Finding]:
    names = {str(machine.address): str(machine.name) for machine in lab.machines}
    for address, by in accused.items():
        who, many = names.get(address, address), len(by)
        said = f"{sorted(by)[0]} says" if many == 1 else f"{many} machines say"
        # One machine can say so of all others, and then it is that one whose RAM is bad.
        yield warning(
            _NAME,
            f"{said} that {who} gave altered parts of the image; nobody booted them",
            f"test the RAM of {who if many > 1 else 'both'}: nodisk machines inventory NAME --memory-test 2",
        )


def _together(boots: list[tuple[float, int, int]]) -> Finding:
    last = max((when for when, _, _ in boots), default=0.0)
    last_boots = [boot for boot in boots if last - boot[0] <= TOGETHER]
    server, others = (sum(boot[place] for boot in last_boots) for place in (1, 2))
    if len(last_boots) < ENOUGH:
        return ok(_NAME, f"fewer than {ENOUGH} machines have booted together, so nothing is known yet")
    if others == 0:
        return warning(
            _NAME,
            f"{len(last_boots)} machines booted together, and none got any of the image from another",
            "let the switch pass traffic between their ports (no private VLAN or port isolation), or set `peers: off`",
        )
    share = 100 * others / (server + others)
    return ok(_NAME, f"at their last boot, {len(last_boots)} machines got {share:.0f} % of the image from each other")
