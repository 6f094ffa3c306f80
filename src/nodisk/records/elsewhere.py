"""Machines that were last told to start something other than the lab: their own disk, another system of the room."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from nodisk.values import Mac

TABLE = """
CREATE TABLE IF NOT EXISTS elsewhere (mac INTEGER PRIMARY KEY, entry TEXT NOT NULL, since REAL NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Other:
    """What one machine was told to start."""

    entry: str
    """Of the menu."""
    since: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]

    def went(self, mac: Mac, entry: str) -> None:
        """A machine starts this entry now."""
        self.db.execute("REPLACE INTO elsewhere VALUES (?,?,?)", (mac.value, entry, self.now()))

    def came_back(self, mac: Mac) -> None:
        """A machine starts the lab now."""
        self.db.execute("DELETE FROM elsewhere WHERE mac = ?", (mac.value,))

    def all(self) -> dict[Mac, Other]:
        """Every machine that did not start the lab when it was last switched on."""
        return {Mac(mac): Other(entry, since) for mac, entry, since in self.db.execute("SELECT * FROM elsewhere")}
