"""Value types of ``timetable:``: a lesson of the week, days without lessons, a time zone, a lead time."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from nodisk.values import Parsed

DAY = 24 * 60
"""Minutes."""
WEEK = 7 * DAY
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As ``date.weekday`` counts them."""
LONGEST_LEAD = 120
"""Minutes."""

_WHOLE = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBER = {name: number for names in (DAYS, _WHOLE) for number, name in enumerate(names)}
_LONGEST = 120
_LESSON = re.compile(
    r"(?P<days>[A-Za-z]+(?: ?[-,–] ?[A-Za-z]+)*) +(?P<begin>[0-9]{1,2}:[0-9]{2}) ?[-–] ?(?P<end>[0-9]{1,2}:[0-9]{2})"
)
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?: ?\.\. ?([0-9]{4}-[0-9]{2}-[0-9]{2}))?")
_LEAD = re.compile(r"([0-9]{1,4})(m|h)")


@dataclass(frozen=True, slots=True)
class Lesson(Parsed):
    """A lesson of every week by the clock on the wall; prints as ``mon,wed 10:15-12:00``."""

    days: tuple[int, ...]
    """The days on which it begins, in order; Monday is 0."""
    begin: int
    """Minutes after midnight."""
    length: int
    """Minutes by the clock on the wall; it may go over midnight. 1440 is a whole day, from 00:00."""
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^\s*[A-Za-z]+( ?[-,–] ?[A-Za-z]+)* +\d{1,2}:\d{2} ?[-–] ?\d{1,2}:\d{2}\s*$",
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``mon 10:15-12:00``, ``mon,wed 8:00-9:30``, ``mon-fri …``, ``fri 22:00-01:00``, and whole names."""
        match = _LESSON.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if match is None and text.strip().lower() in _NUMBER:
            hint = "write DAY BEGIN-END; within [ ], one with a comma needs quotes: 'mon,wed 8:00-9:30'"
            raise ValueError(f"{text.strip()!r} is a day without hours; {hint}")
        if match is None:
            raise ValueError(f"{_shown(text)} is not a lesson; write DAY BEGIN-END, such as mon 10:15-12:00")
        days = _days(match["days"])
        begin, end = _minutes(match["begin"]), _minutes(match["end"])
        if begin == DAY:
            raise ValueError("a lesson can't begin at 24:00; write 00:00 of the next day")
        if begin == end:
            raise ValueError(f"{_shown(text)} begins and ends at once; a whole day is 00:00-24:00")
        return cls(days, begin, (end - begin) % DAY or DAY)

    @property
    def hours(self) -> str:
        """``10:15-12:00``."""
        end = (self.begin + self.length) % DAY or DAY
        return f"{_clock(self.begin)}-{_clock(end)}"

    def __str__(self) -> str:
        return f"{','.join(DAYS[day] for day in self.days)} {self.hours}"


@dataclass(frozen=True, slots=True)
class DaysOff(Parsed):
    """Days without lessons, both ends included; prints as ``2026-12-21..2027-01-06`` or ``2026-11-11``."""

    first: date
    last: date
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^\s*\d{4}-\d{2}-\d{2}( ?\.\. ?\d{4}-\d{2}-\d{2})?\s*$",
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept a date, or two with ``..`` between them."""
        match = _DATES.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if match is None:
            raise ValueError(f"{_shown(text)} is not a date; write 2026-11-11, or 2026-12-21..2027-01-06")
        first = _date(match[1])
        last = first if match[2] is None else _date(match[2])
        if last < first:
            raise ValueError(f"{_shown(text)} ends before it begins; the earlier date comes first")
        return cls(first, last)

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class Zone(Parsed):
    """A time zone by its name in the IANA database, such as ``Europe/Warsaw``."""

    info: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept what this host's zoneinfo has (or the Python package tzdata, where the host has none)."""
        name = text.strip()
        try:
            return cls(ZoneInfo(name))
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            if len(name) <= _LONGEST and not zoneinfo.available_timezones():
                hint = "this host has no time zones: apt-get install --no-install-recommends tzdata"
            else:
                hint = "a name such as Europe/Warsaw; `timedatectl list-timezones` shows all"
            raise ValueError(f"{_shown(text)} is not a time zone; {hint}") from None

    def __str__(self) -> str:
        return str(self.info.key)


@dataclass(frozen=True, slots=True)
class Lead(Parsed):
    """Minutes from the room's start to the lesson; prints as ``15m``."""

    minutes: int
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\s*\d{1,4}(m|h)\s*$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``15m`` and ``1h``, at most two hours."""
        match = _LEAD.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{_shown(text)} is not a time; use a form like 15m or 1h")
        minutes = int(match[1]) * (60 if match[2] == "h" else 1)
        if minutes > LONGEST_LEAD:
            raise ValueError(f"{_shown(text)} is too long; at most 2h")
        return cls(minutes)

    @property
    def delta(self) -> timedelta:
        """As a difference of times."""
        return timedelta(minutes=self.minutes)

    def __str__(self) -> str:
        return f"{self.minutes}m"


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in re.sub(r" ?([-,–]) ?", r"\1", text).replace("–", "-").split(","):
        ends = [_day(word) for word in part.split("-")]
        if len(ends) > 2:
            raise ValueError(f"{part!r} is not a range of days; write mon-fri")
        span = (ends[-1] - ends[0]) % 7
        found.update((ends[0] + step) % 7 for step in range(span + 1))
    return tuple(sorted(found))


def _day(word: str) -> int:
    number = _NUMBER.get(word.lower())
    if number is None:
        raise ValueError(f"{_shown(word)} is not a day; one of {', '.join(DAYS)}")
    return number


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    total = hours * 60 + minutes
    if minutes > 59 or total > DAY:
        raise ValueError(f"{text!r} is not a time of day; from 00:00 to 24:00")
    return total


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar; write YEAR-MONTH-DAY") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
