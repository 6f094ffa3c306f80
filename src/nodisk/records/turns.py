"""Who last switched the room, and what the timetable therefore is to do now. Pure: everything is handed in.

A command wins over the timetable: ``room off`` during a lesson holds until the next one, and a room that was switched
on outside of lessons stays on until the next lesson's end. What the timetable does follows from the record and the time
alone, not from what a running server remembers: so it does not matter whether the server was up when a lesson began or
ended.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from nodisk.records.events import iso
from nodisk.spec import timetable as calendar
from nodisk.spec.model_timetable import Outside, Timetable
from nodisk.spec.timetable import Sitting, Turn, Window

LATE = timedelta(hours=12)
"""A room whose lesson ended longer ago is left alone: its PCs may have other users by now."""
WRONG_CLOCK = timedelta(hours=1)
"""A record that is so far in the future was written while the clock was wrong."""


@dataclass(frozen=True, slots=True)
class Turned:
    """What was last done to the whole room."""

    turn: Turn
    time: float
    """When it began; seconds since 1970."""
    by_hand: bool = False
    """By ``nodisk room``, not by the timetable."""
    done: bool = True
    """False: the timetable has begun it, and not ended."""
    hold: float = 0.0
    """Until then the room is not switched off: the longest time that a ``room on`` by hand may take."""

    def to_text(self) -> str:
        """As the database keeps it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Turned:
        """The reverse."""
        values = json.loads(text)
        return cls(**{**values, "turn": Turn(values["turn"])})


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now."""

    turn: Turn
    sitting: Sitting | None
    """The lesson that it is for; None: lab.yaml has it no more, or ``again``."""
    until: datetime | None = None
    """Of ON: when the lesson (and what follows without a pause) ends."""
    missed: bool = False
    """Of OFF: it is too late; record it as done, and do nothing."""
    again: bool = False
    """Of OFF: it was begun before, and not ended."""


@dataclass(frozen=True, slots=True)
class Coming:
    """What is going to be done."""

    at: datetime
    """UTC."""
    turn: Turn
    sitting: Sitting | None
    """The lesson that it is for, or None."""

    def words(self, where: tzinfo) -> str:
        """``on Mon 2026-11-30 10:00``, in a time zone."""
        return f"{self.turn} {self.at.astimezone(where):%a %Y-%m-%d %H:%M}"

    def to_json(self) -> dict[str, str | None]:
        """The documented shape."""
        lesson = None if self.sitting is None else str(self.sitting.lesson)
        return {"time": iso(self.at.timestamp()), "turn": str(self.turn), "lesson": lesson}


@dataclass(frozen=True, slots=True)
class Plan:
    """A timetable in its time zone."""

    timetable: Timetable
    where: tzinfo

    @classmethod
    def of(cls, timetable: Timetable) -> Plan:
        """In the time zone that lab.yaml names, or this host's."""
        return cls(timetable, calendar.zone(timetable))

    def window(self, moment: datetime) -> Window | None:
        """The window that a moment lies in."""
        return calendar.window_at(self.timetable, self.where, moment)

    def cancelled(self, sitting: Sitting) -> bool:
        """Whether a lesson is on a day off."""
        return any(sitting.day in days for days in self.timetable.except_)

    def ends(self, last: Turned) -> datetime | None:
        """When the room, which was switched on, is to be off; None: not because of that."""
        began = datetime.fromtimestamp(last.time, UTC)
        window = self.window(began)
        if window is not None:
            return max(window.off, datetime.fromtimestamp(last.hold, UTC))
        return None if last.by_hand else began

    def due(self, now: datetime, last: Turned | None) -> Due | None:
        """What the timetable is to do at ``now`` (aware); None: nothing."""
        last = _believed(now, last)
        if last is not None and last.time > now.timestamp():
            return None  # the clock went back a little: what is recorded has been done
        window = self.window(now)
        if window is None:
            return self._due_outside(now, last)
        settled = last is not None and (last.by_hand or (last.turn is Turn.ON and last.done))
        if settled and last is not None and last.time >= window.on.timestamp():
            return None
        return Due(Turn.ON, next(one for one in window.sittings if one.ends > now), until=window.off)

    def _due_outside(self, now: datetime, last: Turned | None) -> Due | None:
        if last is None or (last.turn is Turn.OFF and (last.by_hand or last.done)):
            return None
        began = datetime.fromtimestamp(last.time, UTC)
        ends = began if last.turn is Turn.OFF else self.ends(last)
        if ends is None or now < ends:
            return None
        window = self.window(began)
        sitting = window.sittings[-1] if window else None
        return Due(Turn.OFF, sitting, missed=now - ends > LATE, again=last.turn is Turn.OFF)

    def next(self, now: datetime, last: Turned | None) -> Coming | None:
        """The next thing that the timetable is going to do after ``now``, if nobody does anything before."""
        last = _believed(now, last)
        ends = self.ends(last) if last is not None and last.turn is Turn.ON else None
        for window in calendar.windows(self.timetable, self.where, now):
            if window.on > now:
                if ends is not None and now < ends < window.on:
                    return Coming(ends, Turn.OFF, None)
                return Coming(window.on, Turn.ON, window.sittings[0])
            if last is not None and last.by_hand and last.turn is Turn.OFF and last.time >= window.on.timestamp():
                continue  # off until the next lesson
            return Coming(max(window.off, ends or window.off), Turn.OFF, window.sittings[-1])
        return Coming(ends, Turn.OFF, None) if ends is not None and ends > now else None

    def own_disk(self, now: datetime, last: Turned | None) -> bool:
        """Whether a machine that asks now boots its own disk; the caller knows that the lab is not armed."""
        if self.timetable.outside is not Outside.DISK:
            return False
        last = _believed(now, last)
        window = self.window(now)
        if window is not None:
            return last is not None and last.by_hand and last.turn is Turn.OFF and last.time >= window.on.timestamp()
        if last is None or last.turn is Turn.OFF:
            return True
        ends = self.ends(last)
        return ends is not None and now >= ends


def _believed(now: datetime, last: Turned | None) -> Turned | None:
    """The record; one of a clock that was far ahead is as old as can be."""
    if last is not None and last.time > (now + WRONG_CLOCK).timestamp():
        return dataclasses.replace(last, time=0.0, hold=0.0)
    return last
