"""What a teacher has told a class: one message, which its students read on their page until it is withdrawn or old."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from nodisk.records.events import iso

LONGEST = 500
"""Characters of a message."""
LONGEST_NAME = 100
LASTS = 86400.0
"""Seconds for which it is shown."""

TABLE = """
CREATE TABLE IF NOT EXISTS class_message (
    class TEXT PRIMARY KEY, text TEXT NOT NULL, who TEXT NOT NULL, since REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One class's."""

    text: str
    who: str
    """Who says it; '' if nobody said."""
    since: float

    @property
    def until(self) -> float:
        """When it is shown no more."""
        return self.since + LASTS

    def to_json(self) -> dict[str, str]:
        """The documented shape."""
        return {"text": self.text, "by": self.who, "since": iso(self.since), "until": iso(self.until)}


def message(text: str) -> str:
    """A message as it is kept: lines of what can be seen. Raises ValueError if nothing is left, or too much."""
    lines = (_seen(line) for line in text.splitlines())
    found = "\n".join(line for line in lines if line)
    if not found:
        raise ValueError("write a message for the class")
    if len(found) > LONGEST:
        raise ValueError(f"{len(found)} characters are too many: {LONGEST} at most")
    return found


def name(text: str) -> str:
    """Who says it, as it is kept; '' for nobody."""
    return _seen(text)[:LONGEST_NAME].strip()


def _seen(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


@dataclass(frozen=True, slots=True)
class Messages:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def tell(self, class_name: str, text: str, who: str) -> None:
        """Tell a class something, instead of what it was told before."""
        with self.transaction():
            self.db.execute("REPLACE INTO class_message VALUES (?,?,?,?)", (class_name, text, who, self.now()))

    def withdraw(self, class_name: str) -> bool:
        """Take it back; returns whether there was anything."""
        there = self.current(class_name) is not None
        with self.transaction():
            self.db.execute("DELETE FROM class_message WHERE class = ? OR since <= ?", (class_name, self.now() - LASTS))
        return there

    def current(self, class_name: str, *, made: float = 0.0) -> Message | None:
        """What a class is told now. ``made``: when there came to be this class; one before it had the same name."""
        row = self.db.execute("SELECT text, who, since FROM class_message WHERE class = ?", (class_name,)).fetchone()
        found = None if row is None else Message(*row)
        return found if found is not None and made <= found.since and self.now() < found.until else None
