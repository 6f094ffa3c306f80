"""Events as the lab's records hold them: rows of one table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from nodisk.records.events import Event, Kind
from nodisk.values import Mac, Stage


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
