"""What each machine printed last, as it sent it while it booted: the screen that nobody stands in front of."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nodisk.records.events import iso
from nodisk.values import Mac

TABLE = """
CREATE TABLE IF NOT EXISTS printed (mac INTEGER PRIMARY KEY, time REAL NOT NULL, lines TEXT NOT NULL)
"""
MOST = 20
"""Lines kept of a machine; the last ones."""
LONGEST = 200
"""Characters of a line; the rest is cut."""
_CONTROL = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\uffff]")


@dataclass(frozen=True, slots=True)
class Printed:
    """The last lines of one machine."""

    time: float
    """When they came; seconds since 1970."""
    lines: tuple[str, ...]
    """Never empty."""

    @property
    def last(self) -> str:
        """The last line."""
        return self.lines[-1]

    def to_json(self) -> dict[str, Any]:
        """Both, the time as ISO 8601."""
        return {"time": iso(self.time), "lines": list(self.lines)}


def visible(text: str) -> str:
    """What a machine said, with a question mark for each control character."""
    return _CONTROL.sub("?", text)


def lines(text: str) -> tuple[str, ...]:
    """The last lines of what a machine sent, fit to be shown: no control characters, no empty line, no long one."""
    found = (visible(line.rstrip().expandtabs()) for line in text.split("\n"))
    return tuple(line[:LONGEST] for line in found if line)[-MOST:]


@dataclass(frozen=True, slots=True)
class Prints:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]

    def put(self, mac: Mac, found: tuple[str, ...]) -> None:
        """Keep a machine's last lines instead of those before; none leave them as they are."""
        if found:
            self.db.execute("REPLACE INTO printed VALUES (?,?,?)", (mac.value, self.now(), json.dumps(found)))

    def of(self, mac: Mac) -> Printed | None:
        """A machine's last lines; None: it never sent any."""
        row = self.db.execute("SELECT time, lines FROM printed WHERE mac = ?", (mac.value,)).fetchone()
        return row and Printed(row[0], tuple(json.loads(row[1])))
