"""How many events are kept, and what it costs to keep no more."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.records import event_rows, schema
from nodisk.records.events import Kind

KINDS = st.sampled_from([Kind.STAGE, Kind.ALARM, Kind.DAEMON])
MACHINES = st.sampled_from(["w1", "w2", None])


def records() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.make_tables(db)
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = records()
    yield made
    made.close()


def add(db: sqlite3.Connection, kind: Kind, machine: str | None, *, keep: int) -> int:
    event = dict.fromkeys(("mac", "boot_id", "stage")) | {"time": 0.0, "detail": "", "source": "t"}
    return event_rows.add(db, {**event, "kind": str(kind), "machine": machine}, keep=keep)


def numbers(db: sqlite3.Connection) -> list[int]:
    return [number for (number,) in db.execute("SELECT id FROM event ORDER BY id")]


def as_an_earlier_nodisk(db: sqlite3.Connection, machines: Iterable[str | None]) -> None:
    """Its records: nothing counts them, and it has kept as many as came."""
    for what in ("TRIGGER event_added", "TRIGGER event_removed", "INDEX event_old", "TABLE event_count"):
        db.execute(f"DROP {what}")
    db.executemany(
        "INSERT INTO event (time, kind, machine, detail, source) VALUES (0, 'stage', ?, '', 't')",
        [(machine,) for machine in machines],
    )


@given(st.lists(st.tuples(KINDS, MACHINES), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_the_newest_of_each_kind_and_machine_are_kept(
    events: list[tuple[Kind, str | None]], keep: int, alarms: int
) -> None:
    db = records()
    came = defaultdict[tuple[Kind, str | None], list[int]](list)
    for kind, machine in events:
        most = alarms if kind is Kind.ALARM else keep
        came[kind, machine].append(add(db, kind, machine, keep=most))
        kept = [found[-(alarms if of is Kind.ALARM else keep) :] for (of, _), found in came.items()]
        assert numbers(db) == sorted(number for some in kept for number in some)
    counted = dict(db.execute("SELECT kind || ifnull(machine, ''), count(*) FROM event GROUP BY 1"))
    assert dict(db.execute("SELECT kind || machine, events FROM event_count")) == counted
    db.close()


def test_what_an_earlier_nodisk_left_goes_in_pieces(db: sqlite3.Connection) -> None:
    keep = 10
    as_an_earlier_nodisk(db, ["w1", None] * (keep + 2 * event_rows.PIECE))
    schema.make_tables(db)
    schema.make_tables(db)
    for left in (keep + event_rows.PIECE + 1, keep + 2, keep, keep):
        for machine in ("w1", None):
            add(db, Kind.STAGE, machine, keep=keep)
            there = db.execute("SELECT count(*) FROM event WHERE machine IS ?", (machine,)).fetchone()
            assert there == (left,)


def test_an_earlier_nodisk_goes_on_with_these_records(db: sqlite3.Connection) -> None:
    for _ in range(3):
        add(db, Kind.STAGE, "w1", keep=3)
    db.execute("INSERT INTO event (time, kind, machine, detail, source) VALUES (0, 'stage', 'w1', '', 't')")
    db.execute("DELETE FROM event WHERE id <= 2")
    last = [add(db, Kind.STAGE, "w1", keep=3) for _ in range(2)]
    assert numbers(db) == [4, *last]


def test_one_more_costs_the_same_however_many_there_are(db: sqlite3.Connection) -> None:
    """In steps of SQLite's machine, which no other load on this host changes."""

    def steps(keep: int) -> int:
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        db.set_progress_handler(step, 1)
        add(db, Kind.STAGE, "w1", keep=keep)
        db.set_progress_handler(None, 1)
        return count

    for _ in range(100):
        add(db, Kind.STAGE, "w1", keep=100)
    few = steps(100)
    for number in range(4_000):
        add(db, Kind.STAGE, f"w{number % 2}", keep=2_000)
    assert db.execute("SELECT count(*) FROM event WHERE machine = 'w1'").fetchone() == (2_000,)
    assert few / 2 < steps(2_000) < few * 2
