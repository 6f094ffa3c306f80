"""The loop that keeps the room to its timetable, beside the server. What it does is decided in ``records.turns``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from nodisk.records.database import Database
from nodisk.records.turns import Due, Plan, Turned
from nodisk.spec.timetable import Turn

LONGEST = 60.0
"""Seconds until the time is looked at again at the latest: the clock may have been set, or a command given."""
GLANCE = 5.0
"""Seconds between two looks at whether a command has overtaken what the timetable is doing."""
PAUSES = (60.0, 300.0)
"""Seconds before another attempt where the room could not be switched at all."""


class Outcome(StrEnum):
    """What came of switching the room."""

    DONE = "done"
    PARTLY = "partly"
    """Some machines are missing: another attempt would find them missing too."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """The same, with the reason."""

    outcome: Outcome
    words: str = ""


Act = Callable[[Due], Coroutine[Any, Any, Result]]
"""Switches the room, as ``nodisk room on`` and ``off`` do; ends early, and cleanly, if it is cancelled."""


class Clock(Protocol):
    """The time by which lessons begin, and a sleep that ends."""

    def now(self) -> datetime:
        """Now, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Sleep, by a clock that nobody sets."""


class RealClock:
    """This host's."""

    def now(self) -> datetime:
        """Now, by the clock that may be set."""
        return datetime.fromtimestamp(time.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Keeper:
    """Switches the room as the timetable says; ``run`` goes on until it is cancelled."""

    plan: Plan
    database: Database
    act: Act
    say: Callable[[str], None]
    """Records and prints a sentence."""
    clock: Clock = field(default_factory=RealClock)
    longest: float = LONGEST
    _failures: int = 0

    async def run(self) -> None:
        """Do what is due, then sleep until something can be."""
        while True:
            now, last = self.clock.now(), self.database.turned()
            due = self.plan.due(now, last)
            if due is None:
                await self.clock.sleep(self._until_next(now, last))
            elif due.missed:
                self._note("the lesson ended too long ago: the room is left as it is (nodisk room off)")
                self.database.turn(Turned(Turn.OFF, now.timestamp()))
            else:
                await self._do(due, now, last)

    def _until_next(self, now: datetime, last: Turned | None) -> float:
        coming = self.plan.next(now, last)
        # Not zero: the clock that sleeps and the clock on the wall differ a little.
        return self.longest if coming is None else min(self.longest, max(0.01, (coming.at - now).total_seconds()))

    async def _do(self, due: Due, now: datetime, last: Turned | None) -> None:
        if last is None or last.done or last.turn is not due.turn:
            self._failures = 0  # not another attempt at what failed
        hold = last.hold if last is not None and due.turn is Turn.ON else 0.0
        begun = Turned(due.turn, now.timestamp(), done=False, hold=hold)
        if last is None:
            self.database.turn(begun)
        elif not self.database.turn(begun, instead_of=last):
            return  # a command came just now
        self._note(f"switching the room {due.turn}: {words(due)}")
        result = await self._unless_overtaken(due, begun)
        if result is None:
            self._note("a command was given: the timetable does nothing more about this")
            return
        again = result.outcome is Outcome.FAILED and self._failures < len(PAUSES)
        how = {Outcome.DONE: f"the room is {due.turn}", Outcome.PARTLY: f"the room is {due.turn}, but"}
        text = how.get(result.outcome, f"the room could not be switched {due.turn}")
        self._note(f"{text}: {result.words}" if result.words else text)
        if again:  # it is still due
            pause = PAUSES[self._failures]
            self._failures += 1
            await self.clock.sleep(pause)
            return
        self.database.turn(Turned(due.turn, begun.time, hold=begun.hold), instead_of=begun)

    async def _unless_overtaken(self, due: Due, begun: Turned) -> Result | None:
        """Switch the room unless somebody does so by hand meanwhile; then None."""
        doing = asyncio.ensure_future(self.act(due))
        try:
            while not doing.done():
                glance = asyncio.ensure_future(self.clock.sleep(GLANCE))
                await asyncio.wait((doing, glance), return_when=asyncio.FIRST_COMPLETED)
                glance.cancel()
                if not doing.done() and self.database.turned() != begun:
                    return None
            return doing.result()
        finally:
            if not doing.done():
                doing.cancel()
                await asyncio.wait((doing,))

    def _note(self, text: str) -> None:
        self.say(f"timetable: {text}")


def words(due: Due) -> str:
    """Why, for people."""
    if due.again:
        return "the last attempt was not finished"
    if due.sitting is None:
        return "the lesson it was on for is no longer in lab.yaml"
    what = "lesson" if due.turn is Turn.ON else "end of the lesson"
    return f"{what} {due.sitting.lesson} of {due.sitting.day}"
