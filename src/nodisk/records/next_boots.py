"""What a machine starts at its next boot instead of its default: one entry of its menu, once or until it is cleared.

``once`` is a ticket for one boot, as a nonce is. It is used up when the *next* boot begins, not when its script is
rendered: a machine whose answer was lost asks again within the same boot, and gets the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from nodisk.records import nonces
from nodisk.values import Mac

TABLE = """
CREATE TABLE IF NOT EXISTS next_boot (
    mac INTEGER PRIMARY KEY, entry TEXT NOT NULL, once INTEGER NOT NULL, since REAL NOT NULL, served REAL
)
"""


@dataclass(frozen=True, slots=True)
class NextBoot:
    """One machine's."""

    entry: str
    once: bool
    since: float
    """When it was asked for."""
    served: float | None = None
    """When the machine first got it, or with ``once`` off, last."""


def over(wish: NextBoot, *, begins: bool, now: float) -> bool:
    """Whether a request comes after the boot for which a wish was meant.

    That is one that says it begins a boot, when another had got the wish before. One that says nothing belongs to the
    boot that got it, as long as a nonce of that boot would be valid.
    """
    if not wish.once or wish.served is None:
        return False
    return begins or not 0 <= now - wish.served <= nonces.LIFETIME


@dataclass(frozen=True, slots=True)
class NextBoots:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def set(self, mac: Mac, entry: str, *, once: bool) -> None:
        """Wish for an entry, instead of an earlier wish."""
        with self.transaction():
            self.db.execute("REPLACE INTO next_boot VALUES (?,?,?,?,NULL)", (mac.value, entry, once, self.now()))

    def clear(self, mac: Mac) -> bool:
        """Forget the wish; returns whether there was one."""
        with self.transaction():
            return self._clear(mac)

    def all(self) -> dict[Mac, NextBoot]:
        """Every machine's wish; one that was served ``once`` is in it until the machine's next boot."""
        rows = self.db.execute("SELECT mac, entry, once, since, served FROM next_boot ORDER BY mac").fetchall()
        return {Mac(mac): NextBoot(entry, bool(once), since, served) for mac, entry, once, since, served in rows}

    def serve(self, mac: Mac, *, begins: bool) -> NextBoot | None:
        """What the machine starts now, as the wish stood before; None: what it always starts.

        ``begins``: the machine says that its boot has just begun. Of two boots that begin at the same time, one gets a
        wish that is meant for one.
        """
        if self._row(mac) is None:
            return None  # as nearly always: then nothing waits for the disk
        with self.transaction():
            row = self._row(mac)
            if row is None:
                return None
            wish, now = NextBoot(row[0], bool(row[1]), row[2], row[3]), self.now()
            if over(wish, begins=begins, now=now):
                self._clear(mac)
                return None
            if wish.served is None or not wish.once:
                self.db.execute("UPDATE next_boot SET served = ? WHERE mac = ?", (now, mac.value))
            return wish

    def _row(self, mac: Mac) -> Any:
        found = self.db.execute("SELECT entry, once, since, served FROM next_boot WHERE mac = ?", (mac.value,))
        return found.fetchone()

    def _clear(self, mac: Mac) -> bool:
        return self.db.execute("DELETE FROM next_boot WHERE mac = ?", (mac.value,)).rowcount > 0
