"""The tables of the lab's records, and a look at a database that changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nodisk.errors import NodiskError
from nodisk.records import (
    console_access,
    door,
    elsewhere,
    event_rows,
    inventories,
    messages,
    next_boots,
    printed,
    remarks,
    sightings,
)

VERSION = 2

_TABLES = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL, mac INTEGER, machine TEXT,
    boot_id TEXT, stage TEXT, detail TEXT NOT NULL, source TEXT NOT NULL
);
CREATE INDEX event_mac ON event (mac, kind, id);
CREATE INDEX event_kind ON event (kind, id);
CREATE TABLE nonce (
    digest TEXT PRIMARY KEY, mac INTEGER NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
    minted REAL NOT NULL, used REAL, superseded INTEGER NOT NULL DEFAULT 0, request TEXT
);
CREATE INDEX nonce_mac ON nonce (mac);
CREATE TABLE enrolment (mac INTEGER PRIMARY KEY, time REAL NOT NULL, expires REAL NOT NULL, host_keys TEXT NOT NULL);
CREATE TABLE served (mac INTEGER NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (mac, what));
CREATE TABLE ram (mac INTEGER PRIMARY KEY, time REAL NOT NULL, mib TEXT NOT NULL);
CREATE TABLE traffic (mac INTEGER NOT NULL, what TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (mac, what));
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_MORE = (
    *(sightings.TABLE, next_boots.TABLE, inventories.TABLE, elsewhere.TABLE, remarks.TABLE, printed.TABLE),
    messages.TABLE,
    "CREATE INDEX IF NOT EXISTS nonce_minted ON nonce (minted)",
)


def view(path: Path) -> sqlite3.Connection:
    """A read-only connection; to an empty database if there is none yet."""
    if not path.exists():
        return _nothing()
    # SQLite makes a log and its index beside the file, also for reading, and leaves them there. While no log is there
    # nobody has the file open, and it may be read as one that doesn't change.
    still = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True, isolation_level=None, timeout=10)
    try:
        if version_of(db, path):
            return db
    except BaseException:
        db.close()
        raise
    db.close()  # another process is just making it
    return _nothing()


def _nothing() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    make_tables(db)
    return db


def make_tables(db: sqlite3.Connection) -> None:
    """Make those that are missing."""
    if not _version(db):
        for statement in _TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
    # Whoever doesn't know these does without them: one more is no reason for another schema.
    for statement in _MORE:
        db.execute(statement)
    event_rows.make_counts(db)
    console_access.make(db)
    door.make(db)


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The schema's version; 0: no tables yet. Raises NodiskError for one that this nodisk doesn't know."""
    version = _version(db)
    if version not in (0, VERSION):
        raise NodiskError(
            f"{path} was written by another nodisk (schema {version}, this one knows {VERSION})",
            hint="use that nodisk, or move the file away to start with an empty record",
        )
    return version


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
