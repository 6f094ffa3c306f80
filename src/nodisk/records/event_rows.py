"""Events as the lab's records hold them: rows of one table, of which the newest of each kind and machine are kept.

How many there are of each is counted as they come and go, by the database itself: so it doesn't matter which nodisk
adds one, and what an event costs doesn't depend on how many there are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from nodisk.records.events import Event, Kind
from nodisk.values import Mac, Stage

PIECE = 100
"""Old events that one new one removes at most: there are more only if an earlier nodisk kept more."""

_COUNTS = (
    # No machine has the name ''.
    """CREATE TABLE event_count (
        kind TEXT NOT NULL, machine TEXT NOT NULL, events INTEGER NOT NULL, PRIMARY KEY (kind, machine)
    ) WITHOUT ROWID""",
    "INSERT INTO event_count SELECT kind, ifnull(machine, ''), count(*) FROM event GROUP BY 1, 2",
    """CREATE TRIGGER event_added AFTER INSERT ON event BEGIN
        INSERT INTO event_count VALUES (NEW.kind, ifnull(NEW.machine, ''), 1)
        ON CONFLICT DO UPDATE SET events = events + 1;
    END""",
    """CREATE TRIGGER event_removed AFTER DELETE ON event BEGIN
        UPDATE event_count SET events = events - 1 WHERE kind = OLD.kind AND machine = ifnull(OLD.machine, '');
    END""",
    "CREATE INDEX event_old ON event (kind, machine, id)",
)


def make_counts(db: sqlite3.Connection) -> None:
    """Make what counts them, if it is missing; to be called within a transaction, when the table of events is there."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'event_count'").fetchone() is None:
        for statement in _COUNTS:
            db.execute(statement)


def add(db: sqlite3.Connection, event: Mapping[str, object], *, keep: int) -> int:
    """Add an event (by the table's columns but ``id``); returns its number.

    Of its kind and machine, all but the newest ``keep`` are removed; events of no machine count as one machine's. To be
    called within a transaction.
    """
    cursor = db.execute(
        "INSERT INTO event (time, kind, mac, machine, boot_id, stage, detail, source)"
        " VALUES (:time, :kind, :mac, :machine, :boot_id, :stage, :detail, :source)",
        event,
    )
    number = cursor.lastrowid or 0
    db.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE kind = ?1 AND machine IS ?2 ORDER BY id LIMIT"
        " max(0, min(?3, (SELECT events FROM event_count WHERE kind = ?1 AND machine = ifnull(?2, '')) - ?4)))",
        (event["kind"], event["machine"], PIECE, keep),
    )
    return number


def find(
    db: sqlite3.Connection,
    *,
    after: int,
    since: float | None,
    mac: Mac | None,
    kinds: Iterable[Kind],
    limit: int | None,
) -> list[Event]:
    """Events in order; the options are those of ``Database.events``."""
    wanted = [str(kind) for kind in kinds]
    clauses, values = ["id > ?"], [after]
    if since is not None:
        clauses.append("time >= ?")
        values.append(since)  # type: ignore[arg-type] # SQLite takes any number
    if mac is not None:
        clauses.append("mac = ?")
        values.append(mac.value)
    if wanted:
        clauses.append(f"kind IN ({','.join('?' * len(wanted))})")
        values.extend(wanted)  # type: ignore[arg-type]
    rows = db.execute(
        "SELECT id, time, kind, detail, source, mac, machine, boot_id, stage FROM event "  # noqa: S608 - constants
        f"WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?",
        (*values, -1 if limit is None else limit),
    ).fetchall()
    return [_event(row) for row in reversed(rows)]


def newest_stages(db: sqlite3.Connection) -> dict[Mac, Stage]:
    """By machine the stage of its newest event of that kind, by the index on machines."""
    rows = db.execute(
        "WITH RECURSIVE macs(mac) AS (SELECT MIN(mac) FROM event UNION ALL "
        "SELECT (SELECT MIN(mac) FROM event WHERE mac > macs.mac) FROM macs WHERE macs.mac IS NOT NULL) "
        "SELECT macs.mac, (SELECT stage FROM event WHERE event.mac = macs.mac AND kind = ? AND stage IS NOT NULL "
        "ORDER BY id DESC LIMIT 1) FROM macs WHERE macs.mac IS NOT NULL",
        (str(Kind.STAGE),),
    ).fetchall()
    return {Mac(int(mac)): Stage(stage) for mac, stage in rows if stage is not None}


def _event(row: tuple[object, ...]) -> Event:
    number, when, kind, detail, source, mac, machine, boot_id, stage = row
    return Event(
        id=int(str(number)),
        time=float(str(when)),
        kind=Kind(str(kind)),
        detail=str(detail),
        source=str(source),
        mac=None if mac is None else Mac(int(str(mac))),
        machine=None if machine is None else str(machine),
        boot_id=None if boot_id is None else str(boot_id),
        stage=None if stage is None else Stage(str(stage)),
    )
