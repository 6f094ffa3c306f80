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

from nodisk.plan import boot
from nodisk.records import switch_port
from nodisk.records.events import iso
from nodisk.values import Mac

PORT = ("switch", "port")
"""Where a machine hangs, as its switch says by LLDP."""
FIELDS = ("manufacturer", "product", "serial", "uuid", "memsize", "platform", "chip", "busid", *PORT)
"""What a machine may say of itself; but for the port, the names are those of iPXE's settings (ipxe.org/cfg)."""
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
    manufacturer TEXT, product TEXT, serial TEXT, uuid TEXT, memsize TEXT, platform TEXT, chip TEXT, busid TEXT,
    switch TEXT, port TEXT
)
"""

_COLUMNS = ", ".join(FIELDS)
_CHANGES = ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in ("address", *FIELDS))
_SEE = (
    f"INSERT INTO sighting (mac, first, last, address, {_COLUMNS}) VALUES (?,?,?,?{',?' * len(FIELDS)}) "  # noqa: S608 - constants
    f"ON CONFLICT DO UPDATE SET last = excluded.last, {_CHANGES}"
)


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
            "nic": self.said.get("chip"),
            "nic_id": self.said.get("busid"),
            "switch": self.said.get("switch"),
            "switch_port": self.said.get("port"),
        }


def said(values: Mapping[str, str]) -> dict[str, str]:
    """What a machine says of itself, from a request's query: the known fields, in printable ASCII, not too long."""
    heard = {name: _bytes(values.get(HEX + name, ""), 256) for name in boot.LLDP}
    port = {"switch": switch_port.switch(heard), "port": switch_port.port(heard)}
    texts = {
        name: port.get(name) or values.get(name) or _bytes(values.get(HEX + name, "")).decode("latin-1")
        for name in FIELDS
    }
    found = {name: re.sub(r"[^ -~]", "?", text)[:MAX_VALUE].strip() for name, text in texts.items() if text}
    return {name: text for name, text in found.items() if text}


def _bytes(digits: str, most: int = MAX_VALUE) -> bytes:
    """Bytes from hexadecimal digits, up to the first that is no byte."""
    if not digits:
        return b""
    match = re.match(r"(?:[0-9A-Fa-f]{2})*", digits[: 2 * most])
    return bytes.fromhex(match[0]) if match else b""


def moved(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A word on a machine that hangs on another port than before; '' if it doesn't, or if one of them isn't known."""
    old, new = (tuple(said.get(name, "") for name in PORT) for said in (before, now))
    return f"another switch port: {place(now)}; before: {place(before)}" if all((*old, *new)) and old != new else ""


def place(said: Mapping[str, str]) -> str:
    """The switch port, for people; '' if it isn't known."""
    return " ".join(said[name] for name in PORT if name in said) if "port" in said else ""


def another(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether what two machines said of themselves shows that they have different mainboards.

    What only one of them says shows nothing: GRUB and a room's own iPXE menu say less than nodisk's script does.
    """
    pairs = ((before.get(name, ""), now.get(name, "")) for name in MAINBOARD)
    return any(old and new and old.lower() != new.lower() for old, new in pairs)


def board(said: Mapping[str, str]) -> str:
    """Which mainboard that is, for people."""
    model = " ".join(said[name] for name in ("manufacturer", "product") if name in said)
    words = [model or "a PC", *(f"{name} {said[name]}" for name in reversed(MAINBOARD) if name in said)]
    return ", ".join([*words, *([f"at {place(said)}"] if place(said) else [])])


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
        self.db.execute(
            _SEE,
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
        rows = self.db.execute(f"SELECT mac, first, last, address, {_COLUMNS} FROM sighting {which}", values)  # noqa: S608
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
