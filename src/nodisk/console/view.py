"""What the pages show, from a Status and events. Pure; words are English here and translated where they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from nodisk.machines import guesses
from nodisk.machines.guesses import Guess
from nodisk.machines.status import Row, Status, to_json
from nodisk.records.events import ORDER
from nodisk.spec.model import Lab, Machine
from nodisk.values import Stage

UNSEATED = 1 << 30
"""Where machines without a seat stand: behind all others."""


class Look(StrEnum):
    """How a machine is: its colour, its sign and its word say the same."""

    OFF = "off"
    UNDER_WAY = "under-way"
    READY = "ready"
    FAILED = "failed"
    SILENT = "silent"


SIGNS = {Look.OFF: "○", Look.UNDER_WAY: "▶", Look.READY: "✔", Look.FAILED: "✖", Look.SILENT: "▲"}
WORDS = {
    Look.OFF: "never seen",
    Look.UNDER_WAY: "under way",
    Look.READY: "ready",
    Look.FAILED: "failed",
    Look.SILENT: "silent",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One machine on the room's page."""

    name: str
    seat: str
    role: str
    look: Look
    stage: str
    """The stage as ``nodisk status`` names it; '' if the machine was never seen."""
    step: int
    """Stages of the way to Ready that this boot has behind it."""
    age: float | None
    """Seconds at this stage."""
    line: str
    """The failure's reason, what the status warns of, or on the way to Ready what it printed last; '' for nothing."""
    broken: str
    """What somebody noted of a broken PC; '' for nothing."""

    @property
    def sign(self) -> str:
        """The look as a character."""
        return SIGNS[self.look]

    @property
    def word(self) -> str:
        """The look in words."""
        return WORDS[self.look]


STEPS = ORDER[Stage.READY]
"""Stages from power-on to Ready: what a tile's bar counts to."""


@dataclass(frozen=True, slots=True)
class Room:
    """The room's page."""

    lab: str
    tiles: tuple[Tile, ...]
    """Those that the filter leaves, in the order of the seats."""
    counts: dict[Look, int]
    """Of all machines, whatever the filter."""
    slowest: Tile | None
    """Of the machines under way, the one that has been at its stage for the longest."""
    guess: Guess | None
    """What perhaps holds that one up; None: nothing that is known says anything."""
    unknown: int
    """Machines that lab.yaml doesn't have and that asked for a boot script lately; without those that are ignored."""

    @property
    def all(self) -> int:
        """All machines."""
        return sum(self.counts.values())


def room(status: Status, only: frozenset[Look] = frozenset()) -> Room:
    """The room's page; ``only``: the looks that are shown, none for all."""
    nodes = _node_words(status)
    rows = sorted(status.rows, key=_place)
    tiles = [tile(row, nodes.get(str(row.machine.name), "unknown"), status.time) for row in rows]
    last = guesses.slowest(status)
    return Room(
        str(status.lab.name),
        tuple(one for one in tiles if not only or one.look in only),
        {look: sum(one.look is look for one in tiles) for look in Look},
        None if last is None else next(one for one in tiles if one.name == str(last.machine.name)),
        None if last is None else guesses.guess(status, last),
        status.unknown,
    )


def tile(row: Row, node: str, now: float) -> Tile:
    """One machine; ``node`` is its node's word in the status."""
    way, machine = row.progress, row.machine
    reached = max((ORDER[stage] for stage, _ in way.times), default=0)
    return Tile(
        str(machine.name),
        "" if machine.seat is None else str(machine.seat),
        str(machine.role),
        look(row, node),
        "" if way.stage is None else str(way.stage),
        reached,
        None if way.since is None else max(0.0, now - way.since),
        way.reason or row.warning or _printed(row),
        "" if row.broken is None else row.broken.note,
    )


def _printed(row: Row) -> str:
    """What a machine under way printed last, if it has in this boot."""
    way = row.progress
    if row.printed is None or way.started is None or row.printed.time < way.started or way.stage is Stage.READY:
        return ""
    return row.printed.last


def look(row: Row, node: str) -> Look:
    """How a machine is. A node that the API can't be asked about is what the server last saw."""
    stage = row.progress.stage
    if stage is None:
        return Look.OFF
    if stage is Stage.FAILED:
        return Look.FAILED
    if stage is Stage.READY:
        return Look.SILENT if node in ("not ready", "absent") else Look.READY
    return Look.SILENT if row.warning else Look.UNDER_WAY


def looks(text: str) -> frozenset[Look]:
    """The filter of an address, such as ``failed,silent``; words that are none are left out."""
    return frozenset(Look(word) for word in text[:200].split(",") if word in set(Look))


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of one machine's boot, beside the room's."""

    stage: str
    at: float
    took: float | None
    """Seconds since the stage before; None for the first."""
    median: float | None
    """The same of all machines that had both; None if this is the first."""


def timeline(row: Row, rows: Iterable[Row]) -> tuple[Step, ...]:
    """The stages of a machine's newest boot in the order of arrival."""
    usual = _medians(rows)
    found: list[Step] = []
    before: float | None = None
    for stage, at in row.progress.times:
        took = None if before is None else max(0.0, at - before)
        found.append(Step(str(stage), at, took, None if took is None else usual.get(stage)))
        before = at
    return tuple(found)


def _medians(rows: Iterable[Row]) -> dict[Stage, float]:
    """Stage → seconds that it took half of the room's machines, since the stage before."""
    seconds: dict[Stage, list[float]] = {}
    for row in rows:
        for (_, before), (stage, at) in pairwise(row.progress.times):
            seconds.setdefault(stage, []).append(max(0.0, at - before))
    return {stage: median(found) for stage, found in seconds.items()}


def row_of(status: Status, name: str) -> Row | None:
    """The machine of that name; None: lab.yaml has none."""
    return next((row for row in status.rows if str(row.machine.name) == name), None)


def neighbours(lab: Lab, machine: Machine) -> tuple[str, str]:
    """The names of the machines before and after it in the order of the room's page; '' at its ends."""
    names = [str(one.name) for one in sorted(lab.machines, key=_stand)]
    at = names.index(str(machine.name))
    return (names[at - 1] if at else "", names[at + 1] if at + 1 < len(names) else "")


def age(seconds: float) -> tuple[int, str]:
    """A number and its unit (``s`` stands for less than a minute), so coarse that a page rarely changes for it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return int(seconds // size), unit
    return 1, "s"


def _node_words(status: Status) -> dict[str, str]:
    return {machine["name"]: machine["node"] for machine in to_json(status)["machines"]}


def _place(row: Row) -> tuple[int, int, str]:
    return _stand(row.machine)


def _stand(machine: Machine) -> tuple[int, int, str]:
    seat = machine.seat
    return (UNSEATED, 0, str(machine.name)) if seat is None else (seat.row, seat.column, str(machine.name))
