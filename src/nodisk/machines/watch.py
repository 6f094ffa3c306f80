"""Watching machines come up: what each has reached, from the lab's database, as a live table or plain lines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rich.live import Live
from rich.table import Table
from rich.text import Text

from nodisk import ui
from nodisk.errors import NodiskError, TimedOut
from nodisk.machines.hangs import Hangs
from nodisk.machines.power import Power
from nodisk.records.database import Database
from nodisk.records.events import ORDER, Kind, Progress, progress
from nodisk.spec.model import Machine
from nodisk.values import Role, Stage
from nodisk.waiting import Deadline

INTERVAL = 0.5
WAY = tuple(stage for stage in Stage if stage is not Stage.FAILED)


@dataclass(frozen=True, slots=True)
class Row:
    """One machine of a virtual lab at this moment."""

    machine: Machine
    on: float | None
    """When it was switched on (seconds since the epoch); None: it is off."""
    progress: Progress

    @property
    def ready(self) -> bool:
        """Whether its node is Ready in this boot."""
        return self.progress.stage is Stage.READY

    def seconds(self, stage: Stage) -> float | None:
        """Seconds from power-on to a stage; None: not reached in this boot."""
        when = dict(self.progress.times).get(stage)
        return None if when is None or self.on is None else when - self.on


def rows(power: Power, database: Database) -> list[Row]:
    """Every machine, in the file's order. Events from before the switch was pressed don't count."""
    return rows_since(power.lab.machines, power.since, database)


def rows_since(machines: Iterable[Machine], since: Callable[[Machine], float | None], database: Database) -> list[Row]:
    """The same for machines that are not this host's: ``since`` says from when on a machine's events count."""
    found = []
    for machine in machines:
        on = since(machine)
        events = database.events(since=on, mac=machine.mac, kinds=(Kind.STAGE,)) if on is not None else ()
        found.append(Row(machine, on, progress(events)))
    return found


def summary(row: Row, now: float) -> tuple[str, str, str]:
    """Stage, how long since power-on, and what to say about it."""
    if row.on is None:
        return "off", "", ""
    stage = row.progress.stage
    since = row.progress.since if row.ready and row.progress.since else now
    reason = row.progress.reason if stage is Stage.FAILED else ""
    return str(stage or "firmware"), f"{since - row.on:.0f} s", reason


def wait_ready(power: Power, database: Database, *, seconds: float, alive: Callable[[], None]) -> list[Row]:
    """Show progress until every machine's node is Ready, and return the rows.

    ``alive`` raises if the server is gone. A machine that hangs before Linux says a word is switched off and on, once.
    Raises NodiskError if a machine's QEMU ends, TimedOut after ``seconds``.
    """
    deadline, care = Deadline(seconds), Care(power, database)
    with display() as show:
        while True:
            now = rows(power, database)
            show(now)
            care(now)
            if all(row.ready for row in now):
                power.stand_back()
                return now
            if off := [str(row.machine.name) for row in now if row.on is None]:
                raise NodiskError(f"powered off while waiting: {', '.join(off)}", hint="continue with nodisk lab up")
            alive()
            if not deadline.pause(INTERVAL):
                late = [row for row in now if not row.ready]
                names = ", ".join(f"{row.machine.name} ({summary(row, time.time())[0]})" for row in late)
                raise TimedOut(
                    f"not Ready after {seconds:g} seconds: {names}",
                    hint=f"nodisk lab console {late[0].machine.name} shows its console; nodisk lab up keeps waiting",
                )


@dataclass(slots=True)
class Care:
    """What this host owes its virtual machines while they boot; call it with every look at them."""

    power: Power
    database: Database
    _levelled: bool = False
    _hangs: Hangs = field(init=False)

    def __post_init__(self) -> None:
        self._hangs = Hangs(self.power.pid)

    def __call__(self, now: list[Row]) -> None:
        """Let workers catch up once the control plane is Ready; wake one that hangs before Linux says a word."""
        if not self._levelled and all(row.ready for row in now if row.machine.role is Role.CONTROL_PLANE):
            self.power.level()
            self._levelled = True
        for machine in self._hangs.look((row.machine, row.progress.stage) for row in now):
            ui.say(revive(self.power, self.database, machine))


def revive(power: Power, database: Database, machine: Machine) -> str:
    """Switch a machine that hangs off and on; records and returns what was done."""
    power.cut(machine)
    power.on(machine)
    text = f"{machine.name} hung while its kernel started; power-cycled it"
    database.record(Kind.NODE, text, source="nodisk lab", mac=machine.mac, machine=str(machine.name))
    return text


@contextlib.contextmanager
def display() -> Iterator[Callable[[list[Row]], None]]:
    """A live table on a terminal, else a line for every step of every machine."""
    if not sys.stderr.isatty():
        yield _Lines().show
        return

    with Live(console=ui.console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield lambda now: live.update(_table(now))


def _table(now: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("MACHINE", "ROLE", "STAGE", "", "SINCE POWER-ON", ""):
        table.add_column(heading)
    for row in now:
        stage, since, reason = summary(row, time.time())
        reached = row.progress.stage
        done = 0 if reached in (None, Stage.FAILED) else ORDER[reached] + 1
        bar = "■" * done + "·" * (len(WAY) - done)
        colour = {"ready": "green", "failed": "red"}.get(stage, "")
        table.add_row(
            str(row.machine.name), str(row.machine.role), Text(stage, colour), bar, since, Text(reason, "red")
        )
    return table


class _Lines:
    """Says each step once."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, float]] = set()

    def show(self, now: list[Row]) -> None:
        for row in now:
            steps = [(stage, when, "") for stage, when in row.progress.times]
            if row.progress.stage is Stage.FAILED and row.progress.since is not None:
                steps.append((Stage.FAILED, row.progress.since, row.progress.reason))
            for stage, when, reason in steps:
                key = (str(row.machine.name), str(stage), when)
                if key not in self._said and row.on is not None:
                    self._said.add(key)
                    ui.say(f"{when - row.on:5.0f} s  {row.machine.name}  {stage}{reason and f': {reason}'}")
