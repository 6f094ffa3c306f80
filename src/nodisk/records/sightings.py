"""Machines as the server saw them: when, at which address, and what iPXE said of each.

Anybody on the wire can make up machines. So of those that lab.yaml doesn't know there are at most ``KEEP``, and what
one says of itself is cut and made printable. It is shown to people; all that it decides is whether two machines have
one MAC (``another``).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from nodisk.records.events import iso
from nodisk.values import Mac

FIELDS = ("manufacturer", "product", "serial", "uuid", "memsize", "platform", "chip", "busid")
"""What a machine may say of itself; the names are those of iPXE's settings (ipxe.org/cfg)."""
HEX = "hex."
"""In front of a field's name: its value is the text's bytes in hexadecimal digits."""
MAINBOARD = ("uuid", "serial")
"""What tells one mainboard from another of its model, if its maker took the trouble."""
KEEP = 1000
"""Machines not in lab.yaml that are remembered; of more, those seen longest ago are forgotten."""
MAX_VALUE = 64
"""Characters of one value."""

TABLE = """
CREATE TABLE IF NOT EXISTS sighting (
    mac INTEGER PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL, address TEXT,
    manufacturer TEXT, product TEXT, serial TEXT, uuid TEXT, memsize TEXT, platform TEXT, chip TEXT, busid TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One machine."""

    mac: Mac
    first: float
    """When it was first seen: in a room that is switched on seat by seat, the order of the seats."""
    last: float
    address: IPv4Address | None = None
    """Where it last asked from."""
    said: Mapping[str, str] = field(default_factory=dict)
    """What it says of itself, by ``FIELDS``."""

    @property
    def memory_mib(self) -> int | None:
        """RAM as its firmware counts it."""
        text = self.said.get("memsize", "")
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

    @property
    def firmware(self) -> str | None:
        """``BIOS`` or ``UEFI``."""
        return {"pcbios": "BIOS", "efi": "UEFI"}.get(self.said.get("platform", ""))

    def to_json(self) -> dict[str, Any]:
        """The stable form of ``nodisk machines list --output json``."""
        return {
            "first_seen": iso(self.first),
            "last_seen": iso(self.last),
            "last_address": None if self.address is None else str(self.address),
            "firmware": self.firmware,
            "manufacturer": self.said.get("manufacturer"),
            "product": self.said.get("product"),
            "serial": self.said.get("serial"),
            "uuid": self.said.get("uuid"),
            "memory_mib": self.memory_mib,
            "card": self.said.get("chip"),
            "card_id": self.said.get("busid"),
        }


def said(values: Mapping[str, str]) -> dict[str, str]:
    """What a machine says of itself, from a request's query: the known fields, in printable ASCII, not too long."""
    texts = {name: values.get(name) or _text(values.get(HEX + name, "")) for name in FIELDS}
    found = {name: re.sub(r"[^ -~]", "?", text)[:MAX_VALUE].strip() for name, text in texts.items()}
    return {name: text for name, text in found.items() if text}


def _text(digits: str) -> str:
    """A text from its bytes in hexadecimal digits, up to the first that is no byte; firmware has ASCII at best."""
    match = re.match(r"(?:[0-9A-Fa-f]{2})*", digits[: 2 * MAX_VALUE])
    return bytes.fromhex(match[0]).decode("latin-1") if match else ""


def another(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether what two machines said of themselves shows that they have different mainboards.

    What only one of them says shows nothing: GRUB and a room's own iPXE menu say less than nodisk's script does.
    """
    pairs = ((before.get(name, ""), now.get(name, "")) for name in MAINBOARD)
    return any(old and new and old.lower() != new.lower() for old, new in pairs)


def board(said: Mapping[str, str]) -> str:
    """Which mainboard that is, for people."""
    model = " ".join(said[name] for name in ("manufacturer", "product") if name in said)
    return ", ".join([model or "a PC", *(f"{name} {said[name]}" for name in reversed(MAINBOARD) if name in said)])


def words(said: Mapping[str, str]) -> str:
    """The same in one line, for an event."""
    return ", ".join(f"{name} {said[name]}" for name in FIELDS if name in said)


@dataclass(frozen=True, slots=True)
class Sightings:
    """The table, by a database's connection."""

    db: sqlite3.Connection
    now: Callable[[], float]

    def see(
        self,
        mac: Mac,
        *,
        address: IPv4Address | None = None,
        said: Mapping[str, str] | None = None,
        known: Collection[Mac] = (),
    ) -> None:
        """Note that a machine was seen; what is not told this time stays as it was.

        ``known``: the machines of lab.yaml, which others can't push out.
        """
        now, values = self.now(), said or {}
        columns = ", ".join(FIELDS)
        changes = ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in ("address", *FIELDS))
        self.db.execute(
            f"INSERT INTO sighting (mac, first, last, address, {columns}) VALUES (?,?,?,?{',?' * len(FIELDS)}) "  # noqa: S608 - constants
            f"ON CONFLICT DO UPDATE SET last = excluded.last, {changes}",
            (mac.value, now, now, address and str(address), *(values.get(name) for name in FIELDS)),
        )
        if mac in known:
            return
        self.db.execute(
            "DELETE FROM sighting WHERE mac IN (SELECT mac FROM sighting WHERE mac NOT IN"  # noqa: S608 - question marks
            f" ({','.join('?' * len(known))}) ORDER BY last DESC LIMIT -1 OFFSET ?)",
            (*(one.value for one in known), KEEP),
        )

    def of(self, mac: Mac) -> Sighting | None:
        """One machine; None: it was never seen."""
        return next(iter(self._rows("WHERE mac = ?", mac.value)), None)

    def all(self) -> list[Sighting]:
        """Every machine in the order in which they were first seen; also those that lab.yaml has by now."""
        return self._rows("ORDER BY first, mac")

    def _rows(self, which: str, *values: int) -> list[Sighting]:
        if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sighting'").fetchone():
            return []  # written by a nodisk that noted none, and opened for reading
        columns = ", ".join(FIELDS)
        rows = self.db.execute(f"SELECT mac, first, last, address, {columns} FROM sighting {which}", values)  # noqa: S608
        return [
            Sighting(
                Mac(mac),
                first,
                last,
                IPv4Address(address) if address else None,
                {name: value for name, value in zip(FIELDS, told, strict=True) if value},
            )
            for mac, first, last, address, *told in rows
        ]

    def forget(self, mac: Mac) -> bool:
        """Forget a machine; returns whether it had been seen."""
        return self.db.execute("DELETE FROM sighting WHERE mac = ?", (mac.value,)).rowcount > 0
