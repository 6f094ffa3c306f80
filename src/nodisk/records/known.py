"""All that the records know of a machine, in whichever table: to forget it, or to hand its wishes to another PC."""

from __future__ import annotations

import sqlite3

from nodisk.values import Mac

WISHES = ("next_boot", "inventory")
"""What an administrator wants of the machine in that place, whichever PC it is."""
FACTS = ("sighting", "elsewhere", "enrolment", "served", "ram", "traffic", "nonce", "remark", "printed")
"""What came of one PC. Its events are not here: they are the room's history."""
NIC = "nic "
"""In front of a MAC, the name of the setting that holds which NIC the PC boots from."""


def forget(db: sqlite3.Connection, mac: Mac) -> None:
    """Delete all but events; to be called within a transaction."""
    for table in (*WISHES, *FACTS):
        db.execute(f"DELETE FROM {table} WHERE mac = ?", (mac.value,))  # noqa: S608 - constants
    db.execute("DELETE FROM setting WHERE name = ?", (f"{NIC}{mac}",))


def hand_over(db: sqlite3.Connection, old: Mac, new: Mac) -> None:
    """Give ``new`` what is wished for ``old``, in place of its own, and forget ``old``; within a transaction.

    What a PC is to be measured for stays wished, but no nonce and no report moves along: those are of the old PC.
    """
    db.execute("UPDATE OR REPLACE next_boot SET mac = ?, served = NULL WHERE mac = ?", (new.value, old.value))
    db.execute(
        "INSERT INTO inventory (mac, until, seconds) SELECT ?, until, seconds FROM inventory WHERE mac = ? AND until "
        "IS NOT NULL ON CONFLICT DO UPDATE SET until = excluded.until, seconds = excluded.seconds, digest = NULL",
        (new.value, old.value),
    )
    forget(db, old)
