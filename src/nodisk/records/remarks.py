"""What an administrator notes of one PC: it is broken, or, of a machine that lab.yaml doesn't have, nobody's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

from nodisk.records.events import iso
from nodisk.values import Mac

LONGEST = 200
"""Characters of a note."""

TABLE = """
CREATE TABLE IF NOT EXISTS remark (mac INTEGER PRIMARY KEY, kind TEXT NOT NULL, note TEXT NOT NULL, since REAL NOT NULL)
"""


class Kind(StrEnum):
    """What is noted. A PC has one remark at most: only a machine of lab.yaml is broken, only others are ignored."""

    BROKEN = "broken"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Remark:
    """One PC's."""

    note: str
    since: float

    def to_json(self) -> dict[str, str]:
        """The documented shape."""
        return {"note": self.note, "since": iso(self.since)}


def note(text: str) -> str:
    """A note as it is kept: one line. Raises ValueError if nothing is left, or too much."""
    found = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not found:
        raise ValueError("say what is wrong with it")
    if len(found) > LONGEST:
        raise ValueError(f"{len(found)} characters are too many: {LONGEST} at most")
    return found


@dataclass(frozen=True, slots=True)
class Remarks:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def set(self, mac: Mac, kind: Kind, text: str = "") -> None:
        """Note it, instead of an earlier remark."""
        with self.transaction():
            self.db.execute("REPLACE INTO remark VALUES (?,?,?,?)", (mac.value, str(kind), text, self.now()))

    def clear(self, mac: Mac, kind: Kind) -> bool:
        """Take a remark back; returns whether there was one."""
        with self.transaction():
            return self.db.execute("DELETE FROM remark WHERE mac = ? AND kind = ?", (mac.value, str(kind))).rowcount > 0

    def all(self, kind: Kind) -> dict[Mac, Remark]:
        """Every PC of which that is noted."""
        rows = self.db.execute("SELECT mac, note, since FROM remark WHERE kind = ? ORDER BY mac", (str(kind),))
        return {Mac(mac): Remark(text, since) for mac, text, since in rows.fetchall()}
