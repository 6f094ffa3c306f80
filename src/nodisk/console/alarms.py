"""The alarms of the last day, in a line that stands on top of every page of who may see them."""

from __future__ import annotations

from dataclasses import dataclass

from nodisk.records.database import Database
from nodisk.records.events import Event, Kind

DAY = 86400.0
"""Seconds for which an alarm stays on top."""
MOST = 99
"""Alarms that are counted; more are shown as this many, with a plus."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Those of the last day."""

    count: str
    newest: Event


def recent(database: Database, now: float) -> Alarms | None:
    """What is said on top; None: there was no alarm. The records have an index by kind, so this is cheap."""
    found = database.events(kinds=(Kind.ALARM,), since=now - DAY, limit=MOST + 1)
    return Alarms(str(len(found)) if len(found) <= MOST else f"{MOST}+", found[-1]) if found else None
