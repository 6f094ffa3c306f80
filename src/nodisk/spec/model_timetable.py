"""lab.yaml's model: the timetable."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from nodisk.spec.lessons import DaysOff, Lead, Lesson, Zone
from nodisk.spec.section import Section


class Outside(StrEnum):
    """What a machine boots outside of lessons."""

    DISK = "disk"
    LAB = "lab"


class Timetable(Section):
    """The lessons: `nodisk serve` switches the room on before each and off after it. At least one pause of the week
    must be longer than twice the `lead`."""

    lessons: tuple[Lesson, ...]
    """One a line, by the clock on the wall, every week: `mon 10:15-12:00`, `mon,wed 8:00-9:30`, `tue-fri 14:00-15:30`.
    An end before the begin is on the next day: `fri 22:00-01:00`."""
    except_: Annotated[tuple[DaysOff, ...], Field(alias="except")] = ()
    """Days without lessons: `2026-11-11`, or the first and the last, `2026-12-21..2027-01-06`. A lesson over midnight
    belongs to the day on which it begins."""
    timezone: Zone | None = None
    """The lessons' time zone by its IANA name, such as Europe/Warsaw; absent: the server's."""
    lead: Lead = Lead(15)
    """How long before a lesson the room is switched on, at most `2h`. A break of up to twice as long is no reason to
    switch it off."""
    outside: Outside = Outside.DISK
    """What a machine of lab.yaml boots that is switched on while the room is off and the lab is not armed: `disk` (its
    own) or `lab` (Linux in RAM, which can't join)."""
