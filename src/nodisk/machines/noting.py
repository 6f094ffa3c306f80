"""Noting of a PC that it is broken or nobody's, with an event."""

from __future__ import annotations

from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.remarks import Kind as Remarked
from nodisk.spec.model import Machine
from nodisk.values import Mac


def broken(database: Database, machine: Machine, note: str | None, *, source: str) -> bool:
    """Note what is wrong with a machine's PC; None: it is mended. Returns whether that changes anything."""
    if note is not None:
        database.remarks.set(machine.mac, Remarked.BROKEN, note)
    elif not database.remarks.clear(machine.mac, Remarked.BROKEN):
        return False
    detail = "mended" if note is None else f"broken: {note}"
    database.record(Kind.DAEMON, detail, source=source, mac=machine.mac, machine=str(machine.name))
    return True


def ignore(database: Database, mac: Mac, *, undo: bool, source: str) -> bool:
    """Note that an unknown machine is nobody's, or take that back. Returns whether that changes anything."""
    if undo:
        if not database.remarks.clear(mac, Remarked.IGNORED):
            return False
    elif mac in database.remarks.all(Remarked.IGNORED):
        return False
    else:
        database.remarks.set(mac, Remarked.IGNORED)
    database.record(Kind.DAEMON, "listed again" if undo else "ignored", source=source, mac=mac)
    return True
