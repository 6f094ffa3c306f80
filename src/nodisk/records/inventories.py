"""Which machines are to be measured at their next boot, the nonce of that boot, and what they reported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodisk.records import nonces
from nodisk.records.hardware import Hardware, Link
from nodisk.values import Mac

LIFETIME = 3600.0
"""Seconds from the boot script to the report: a long test of much memory."""
TABLE = """
CREATE TABLE IF NOT EXISTS inventory (
    mac INTEGER PRIMARY KEY, until REAL, seconds INTEGER, digest TEXT, address TEXT, minted REAL, time REAL, report TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """A machine's last report."""

    time: float
    """Seconds since 1970."""
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class Inventories:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]
    transaction: Callable[[], AbstractContextManager[None]]

    def ask(self, mac: Mac, *, until: float, seconds: int) -> None:
        """Have a machine measured when it boots before ``until``; ``seconds``: how long its RAM is tested."""
        with self.transaction():
            self.db.execute(
                "INSERT INTO inventory (mac, until, seconds) VALUES (?,?,?) "
                "ON CONFLICT DO UPDATE SET until = excluded.until, seconds = excluded.seconds, digest = NULL",
                (mac.value, until, seconds),
            )

    def cancel(self, mac: Mac) -> bool:
        """Don't have a machine measured after all, and take no report of one that is; whether that was wished for."""
        done = self.db.execute(
            "UPDATE inventory SET until = NULL, digest = NULL WHERE mac = ? AND (until >= ? OR digest IS NOT NULL)",
            (mac.value, self.now()),
        )
        return done.rowcount == 1

    def asked(self) -> list[Mac]:
        """The machines that are to be measured if they boot now."""
        rows = self.db.execute("SELECT mac FROM inventory WHERE until >= ? ORDER BY mac", (self.now(),))
        return [Mac(mac) for (mac,) in rows]

    def wanted(self, mac: Mac) -> int | None:
        """Seconds of its memory test, for a machine that is to be measured if it boots now; else None."""
        row = self.db.execute("SELECT until, seconds FROM inventory WHERE mac = ?", (mac.value,)).fetchone()
        return None if row is None or row[0] is None or row[0] < self.now() else int(row[1])

    def mint(self, mac: Mac, address: IPv4Address) -> str:
        """The nonce of this boot, for a report from this address; an earlier one counts no more."""
        nonce = nonces.mint()
        self.db.execute(
            "UPDATE inventory SET digest = ?, address = ?, minted = ? WHERE mac = ?",
            (nonces.digest(nonce), str(address), self.now(), mac.value),
        )
        return nonce

    def boots(self, mac: Mac, address: IPv4Address | None) -> int | None:
        """Seconds of its memory test, for a machine that is being measured at this address; else None."""
        row = self.db.execute(
            "SELECT minted, seconds FROM inventory WHERE mac = ? AND address = ? AND digest IS NOT NULL",
            (mac.value, str(address)),
        ).fetchone()
        return None if row is None or row[0] + LIFETIME < self.now() else int(row[1])

    def ends(self, mac: Mac) -> None:
        """Forget the nonce of a measurement that never reported: the machine boots something else now."""
        self.db.execute("UPDATE inventory SET digest = NULL WHERE mac = ? AND digest IS NOT NULL", (mac.value,))

    def take(self, mac: Mac, nonce: str, address: IPv4Address, report: Hardware) -> bool:
        """Keep a report and use up its nonce; returns whether it was valid. Of two at once, one is."""
        with self.transaction():
            done = self.db.execute(
                "UPDATE inventory SET until = NULL, digest = NULL, time = ?, report = ? "
                "WHERE mac = ? AND digest = ? AND address = ? AND minted >= ?",
                (
                    *(self.now(), report.model_dump_json(), mac.value),
                    *(nonces.digest(nonce), str(address), self.now() - LIFETIME),
                ),
            )
        return done.rowcount == 1

    def links(self) -> dict[Mac, int]:
        """What each machine that was measured loaded from the server, in Mbit/s; quick, however many there are."""
        if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'inventory'").fetchone():
            return {}  # written by a nodisk that measured none, and opened for reading
        rows = self.db.execute(
            "SELECT mac, json_extract(report, '$.link.bytes'), json_extract(report, '$.link.milliseconds') "
            "FROM inventory WHERE report IS NOT NULL"
        )
        found = {Mac(mac): Link(bytes=sent, milliseconds=took).mbps for mac, sent, took in rows}
        return {mac: mbps for mac, mbps in found.items() if mbps}

    def all(self) -> dict[Mac, Measured]:
        """Every machine that was measured."""
        rows = self.db.execute("SELECT mac, time, report FROM inventory WHERE report IS NOT NULL")
        return {Mac(mac): Measured(time, Hardware.model_validate_json(report)) for mac, time, report in rows}
