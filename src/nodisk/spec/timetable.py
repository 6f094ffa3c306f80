"""When the lessons are, as moments: pure, a timetable and a time zone in.

Lessons are by the clock on the wall, all else by UTC, so that nothing here adds hours to a wall clock that jumps:

- A lesson that begins in the hour that is skipped in spring begins as much later as the clocks jump, and keeps its
  length.
- A time in the hour that comes twice in autumn is its first one.

Both are what RFC 5545 (3.3.5) says of a local time that doesn't exist or exists twice.

The room is on for a *window*: from the lead time before a lesson to its end. A break of at most twice the lead time is
part of it, because a room that is shut down and started again within a break is ready for nobody.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from nodisk.spec.lessons import DAY, WEEK, Lesson
from nodisk.spec.model_timetable import Timetable

HORIZON = 800
"""Days that are looked ahead: more than two years of `except` are the end of the lessons."""
_BACK = 15
"""Days that are looked back: two weeks have two pauses (``problems``), of which a change of the clocks takes one."""

_LARGEST = 1 << 20
"""Bytes of a time zone's file; real ones have less than 4 KiB."""


class Turn(StrEnum):
    """What the timetable does to the room."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Sitting:
    """One lesson of one day."""

    lesson: Lesson
    day: date
    """The day on which it begins by the clock on the wall."""
    begins: datetime
    """UTC."""
    ends: datetime
    """UTC, later than ``begins``."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which the room is on: from ``on``, before ``off``, both UTC."""

    on: datetime
    off: datetime
    sittings: tuple[Sitting, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """The room is to be switched."""

    at: datetime
    """UTC."""
    turn: Turn
    sitting: Sitting
    """The lesson that it is for; of OFF, the last one."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A problem of a timetable whose values are right."""

    at: tuple[str | int, ...]
    """Where, below ``timetable``."""
    what: str
    hint: str
    other: tuple[str | int, ...] | None = None


def zone(timetable: Timetable) -> tzinfo:
    """The time zone that its clock shows."""
    return server_zone() if timetable.timezone is None else timetable.timezone.info


class _Whole(io.BytesIO):
    """A file that fails where it is cut off: zoneinfo would look for the end of a line for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is not None and len(found) < size:
            raise EOFError
        return found


def server_zone(localtime: Path = Path("/etc/localtime")) -> tzinfo:
    """This host's time zone, localtime(5); UTC if there is none. ``$TZ`` is not asked: it differs between shells."""
    try:
        _, found, name = str(localtime.resolve()).partition("/zoneinfo/")
        with localtime.open("rb") as file:
            whole = _Whole(file.read(_LARGEST))
        return ZoneInfo.from_file(whole, key=name if found else "local time")
    except Exception:  # zoneinfo has no common class for damaged files, nor Python 3.11 for a loop of links
        return UTC


def sittings(timetable: Timetable, where: tzinfo, after: datetime, *, days_off: bool = False) -> Iterator[Sitting]:
    """The lessons that end after ``after`` (aware), by their begin, for more than two years.

    ``days_off``: those of days in ``except`` too.
    """
    today = after.astimezone(where).date()
    # A lesson ends at most a day after it begins, and a change of the clocks can move it by one more.
    waiting: list[Sitting] = []
    for number in range(-2, HORIZON):
        try:
            day = today + timedelta(days=number)
        except OverflowError:
            break
        if days_off or not any(day in off for off in timetable.except_):
            waiting += [_sitting(one, day, where) for one in timetable.lessons if day.weekday() in one.days]
        waiting.sort(key=lambda one: one.begins)
        sure = datetime.combine(day, time(), UTC) - timedelta(days=2)
        while waiting and waiting[0].begins < sure:
            if (first := waiting.pop(0)).ends > after:
                yield first
    yield from (one for one in waiting if one.ends > after)


def windows(timetable: Timetable, where: tzinfo, after: datetime) -> Iterator[Window]:
    """The windows that end after ``after``, in order. The same ones, whatever ``after`` is."""
    lead = timetable.lead.delta
    found: Window | None = None
    for one in sittings(timetable, where, after - timedelta(days=_BACK)):
        if found is not None and one.begins - found.off <= 2 * lead:
            found = Window(found.on, max(found.off, one.ends), (*found.sittings, one))
            continue
        if found is not None and found.off > after:
            yield found
        found = Window(one.begins - lead, one.ends, (one,))
    if found is not None and found.off > after:
        yield found


def window_at(timetable: Timetable, where: tzinfo, moment: datetime) -> Window | None:
    """The window that a moment lies in; None: the room is not wanted then."""
    found = next(windows(timetable, where, moment), None)
    return found if found is not None and found.on <= moment else None


def changes(timetable: Timetable, where: tzinfo, after: datetime) -> Iterator[Change]:
    """What is switched after ``after``, in order: on and off in turn."""
    for one in windows(timetable, where, after):
        if one.on > after:
            yield Change(one.on, Turn.ON, one.sittings[0])
        yield Change(one.off, Turn.OFF, max(one.sittings, key=lambda sitting: sitting.ends))


def _sitting(lesson: Lesson, day: date, where: tzinfo) -> Sitting:
    wall = datetime.combine(day, time()) + timedelta(minutes=lesson.begin)
    begins, ends = _moment(wall, where), _moment(wall + timedelta(minutes=lesson.length), where)
    skipped = begins.astimezone(where).replace(tzinfo=None) != wall
    if skipped or ends <= begins:
        ends = begins + timedelta(minutes=lesson.length)
    return Sitting(lesson, day, begins, ends)


def _moment(wall: datetime, where: tzinfo) -> datetime:
    """The first moment at which the clock shows ``wall``; where it never does, by the offset before the jump."""
    return wall.replace(tzinfo=where, fold=0).astimezone(UTC)


def problems(timetable: Timetable) -> Iterator[Wrong]:
    """Two lessons at once, none at all, and a week without a pause."""
    if not timetable.lessons:
        yield Wrong(("lessons",), "there are no lessons", "such as `- mon 10:15-12:00`; without any, leave it out")
        return
    weekly = sorted(
        (day * DAY + one.begin, day * DAY + one.begin + one.length, index)
        for index, one in enumerate(timetable.lessons)
        for day in one.days
    )
    clashes: dict[int, int] = {}
    pauses: list[int] = []
    end, last = weekly[0][1:]
    # Twice, for what goes on from Sunday into Monday.
    for begins, ends, index in [*weekly[1:], *((begin + WEEK, end + WEEK, index) for begin, end, index in weekly)]:
        pauses.append(begins - end)
        if begins < end:
            clashes.setdefault(max(index, last), min(index, last))
        if ends > end:
            end, last = ends, index
    for index, other in sorted(clashes.items()):
        text = f"{timetable.lessons[index]} overlaps the lesson on {{other}}"
        yield Wrong(("lessons", index), text, "one room, one lesson at a time: write them as one", ("lessons", other))
    if max(pauses) <= 2 * timetable.lead.minutes:
        text = f"the room would never be off: no pause is longer than twice the lead time ({timetable.lead})"
        yield Wrong(("lessons",), text, "a shorter `lead:`, or no timetable")
