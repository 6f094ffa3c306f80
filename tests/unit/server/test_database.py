"""The lab's records: used by several processes, bounded, private, and never half written."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.support.records import sql

from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError
from nodisk.records import remarks, served
from nodisk.records.database import KEEP_ALARMS, KEEP_EVENTS, Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER, LIFETIME, Claim, Refusal, Verdict, Why
from nodisk.values import Mac, Role, Stage

MAC, OTHER = Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02")
ADDRESS = IPv4Address("10.0.0.1")
CLAIM = Claim(MAC, Role.WORKER, ADDRESS, "request")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    with Database(tmp_path / "nodisk.db", now=clock) as made:
        yield made


def test_events_come_back_as_they_were(database: Database) -> None:
    number = database.record(
        Kind.STAGE, "rootfs", source="10.0.0.1", mac=MAC, machine="w1", boot_id="b", stage=Stage.ROOTFS
    )
    database.record(Kind.ALARM, "x" * 2000, source="y")
    first, second = database.events()
    assert (first.id, first.time, first.mac, first.machine, first.boot_id, first.stage) == (
        *(number, 1000.0, MAC, "w1", "b", Stage.ROOTFS),
    )
    assert (second.mac, second.stage, len(second.detail)) == (None, None, 500)
    assert first.to_json() == {
        "id": number,
        "time": "1970-01-01T00:16:40.000Z",
        "kind": "stage",
        "machine": "w1",
        "mac": "52:54:00:00:00:01",
        "stage": "rootfs",
        "detail": "rootfs",
        "source": "10.0.0.1",
        "boot_id": "b",
    }


def test_events_are_chosen(database: Database, clock: Clock) -> None:
    for number in range(5):
        clock.now = 1000.0 + number
        database.record(
            Kind.STAGE if number % 2 else Kind.ALARM, str(number), source="t", mac=MAC if number > 2 else None
        )

    def details(**how: object) -> str:
        return "".join(event.detail for event in database.events(**how))  # type: ignore[arg-type]

    assert details() == "01234"
    assert details(after=2) == "234"
    assert details(since=1003.0) == "34"
    assert details(mac=MAC) == "34"
    assert details(kinds=(Kind.ALARM,)) == "024"
    assert details(kinds=(Kind.ALARM, Kind.STAGE), limit=2) == "34"


def test_old_events_are_forgotten(database: Database) -> None:
    with database.together():
        for number in range(KEEP_EVENTS + 20):
            database.record(Kind.DAEMON, str(number), source="t")
    assert [event.detail for event in database.events()] == [str(number) for number in range(20, KEEP_EVENTS + 20)]


def test_a_flood_of_one_kind_or_of_one_machine_costs_no_other_event(database: Database) -> None:
    with database.together():
        database.record(Kind.ALARM, "raced", source="t", mac=MAC, machine="w1")
        database.record(Kind.STAGE, "", source="t", mac=OTHER, machine="w2", stage=Stage.READY)
        for number in range(KEEP_ALARMS + 10):
            if number < KEEP_EVENTS + 10:
                database.record(Kind.STAGE, "", source="t", mac=MAC, machine="w1", stage=Stage.DHCP)
                database.record(Kind.UNKNOWN, "", source="t", mac=Mac(number + 1))
            database.record(Kind.ALARM, "", source="t", mac=Mac(number + 1))
    found = database.events()
    assert found[0].detail == "raced"
    assert [event.stage for event in found if event.machine == "w2"] == [Stage.READY]
    assert [sum(event.kind is kind for event in found) for kind in (Kind.STAGE, Kind.UNKNOWN, Kind.ALARM)] == [
        KEEP_EVENTS + 1,
        KEEP_EVENTS,
        KEEP_ALARMS + 1,
    ]


def test_more_is_said_in_a_record(database: Database) -> None:
    number = database.record(Kind.ALARM, "raced", source="t")
    database.amend(number, "raced twice")
    assert [event.detail for event in database.events()] == ["raced twice"]


def test_nonces_of_long_ago_are_forgotten(database: Database, clock: Clock) -> None:
    database.arm(FOREVER)
    for _ in range(10):
        assert database.mint(MAC, Role.WORKER, ADDRESS)
        clock.now += 20 * 3600
    assert sql(database.path, "SELECT count(*) FROM nonce") == [(2,)]


def test_the_window(database: Database, clock: Clock) -> None:
    assert (database.armed_until(), database.armed()) == (None, False)
    assert database.mint(MAC, Role.WORKER, ADDRESS) is None
    database.arm(1100.0)
    assert database.armed()
    clock.now = 1100.0
    assert not database.armed()
    database.arm(FOREVER)
    clock.now = 1e12
    assert database.armed()
    assert not database.disarm(window=1100.0)  # another's, by now
    assert database.armed()
    assert database.disarm(window=FOREVER)
    assert database.armed_until() is None


def test_a_nonce_s_life(database: Database, clock: Clock) -> None:
    database.arm(FOREVER)
    old = database.mint(MAC, Role.WORKER, ADDRESS)
    new = database.mint(MAC, Role.WORKER, ADDRESS)
    assert old
    assert new
    assert "newer script" in str(database.use(old, CLAIM))
    assert database.use(new, CLAIM) == Verdict(None)
    assert "used before" in str(database.use(new, replace(CLAIM, request="another")))
    assert database.use(new, CLAIM) == Verdict(None, again=True)
    late = database.mint(MAC, Role.WORKER, ADDRESS)
    clock.now += LIFETIME + 1
    assert "older than" in str(database.use(late or "", CLAIM))
    assert "newer script" in str(database.use(new, CLAIM)), "a new boot ends what the one before could repeat"


def test_disarming_kills_nonces_that_are_out(database: Database) -> None:
    database.arm(FOREVER)
    nonce, other = database.mint(MAC, Role.WORKER, ADDRESS), database.mint(OTHER, Role.WORKER, ADDRESS)
    assert database.use(other or "", replace(CLAIM, mac=OTHER)) == Verdict(None)
    database.disarm()
    database.arm(FOREVER)
    assert "disarmed" in str(database.use(nonce or "", CLAIM))
    assert "disarmed" in str(database.use(other or "", replace(CLAIM, mac=OTHER))), "no repetition either"


def test_the_nonce_itself_is_not_kept(database: Database) -> None:
    database.arm(FOREVER)
    nonce = database.mint(MAC, Role.WORKER, ADDRESS)
    assert nonce
    for path in database.path.parent.iterdir():
        assert nonce.encode() not in path.read_bytes()


def test_of_many_who_use_a_nonce_at_once_one_wins(database: Database, clock: Clock) -> None:
    database.arm(FOREVER)
    nonce = database.mint(MAC, Role.WORKER, ADDRESS) or ""
    found: list[Refusal | None] = []
    barrier = threading.Barrier(8)

    def use(request: str) -> None:
        with Database(database.path, now=clock) as own:
            barrier.wait()
            found.append(own.use(nonce, replace(CLAIM, request=request)).refusal)

    threads = [threading.Thread(target=use, args=[str(number)]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer is None for answer in found) == [False] * 7 + [True]


def test_what_is_known_of_a_machine(database: Database) -> None:
    assert (database.enrolment(MAC), database.host_keys(MAC), database.ram(MAC)) == (None, (), None)
    database.enrolled(MAC, 2000.0, ["ssh-ed25519 AAAA"])
    database.serve(MAC, {"script": "one", "ignition": "{}"})
    database.serve(MAC, {"script": "two", "nginx.conf": "events {}"})
    database.set_ram(MAC, {"total": 1000})
    database.add_traffic(MAC, "vmlinuz", 5)
    database.add_traffic(MAC, "vmlinuz", 7)
    found = database.enrolment(MAC)
    assert found is not None
    assert (found.time, found.expires, database.host_keys(MAC)) == (1000.0, 2000.0, ("ssh-ed25519 AAAA",))
    assert (database.served(MAC), database.ram(MAC)) == (
        {"script": "two", "ignition": "{}", "nginx.conf": "events {}"},
        {"total": 1000},
    )
    assert database.traffic(MAC) == {"vmlinuz": 12}
    database.reset_traffic(MAC)
    assert database.traffic(MAC) == {}


def test_what_many_machines_got_is_kept_once(database: Database, tmp_path: Path) -> None:
    def texts() -> int:
        with sqlite3.connect(tmp_path / "nodisk.db") as raw:
            found: int = raw.execute("SELECT sum(length(text)) FROM served").fetchone()[0]
        raw.close()
        return found

    first, second = {"dnsmasq.conf": "a" * 10_000, "nginx.conf": "n"}, {"dnsmasq.conf": "b" * 10_000}
    for number in range(50):
        database.serve(Mac(number), {"script": "mine"}, alike=first)
    assert 10_000 < texts() < 30_000
    assert database.served(Mac(7)) == {"script": "mine", **first}
    database.serve(Mac(7), {"script": "new"}, alike=second)
    database.serve(Mac(7), {"ignition": "{}"})
    assert database.served(Mac(7)) == {"script": "new", "ignition": "{}", "nginx.conf": "n", **second}
    assert database.served(Mac(8)) == {"script": "mine", **first}
    assert database.served(Mac(99)) == {}
    database.forget(Mac(7))
    database.tidy()
    assert texts() < 20_000, "nobody has the second any more"
    assert database.served(Mac(8)) == {"script": "mine", **first}


def test_a_packed_text_comes_back_and_is_written_once(database: Database, clock: Clock) -> None:
    text = "10.0.0.1%20żółw%0A" * 5000
    packed = served.pack(text)
    assert len(packed) < len(text) / 20
    database.serve(MAC, {"ignition": packed, "script": "one"}, alike={"nginx.conf": "n"})
    clock.now += 60
    database.serve(MAC, {"ignition": packed, "script": "two"}, alike={"nginx.conf": "n"})
    assert database.served(MAC) == {"ignition": text, "script": "two", "nginx.conf": "n"}
    with sqlite3.connect(database.path) as raw:
        times = dict(raw.execute("SELECT what, time FROM served WHERE mac > 0").fetchall())
    raw.close()
    assert times == {"ignition": 1000.0, "=nginx.conf": 1000.0, "script": 1060.0}


def test_what_is_written_together_is_one_write(database: Database) -> None:
    database.arm(FOREVER)
    with Database(database.path) as other:
        with database.together():
            database.record(Kind.DAEMON, "first", source="t")
            nonce = database.mint(MAC, Role.WORKER, ADDRESS)
            database.serve(MAC, {"script": "one"})
            assert (other.events(), other.served(MAC)) == ([], {})
        assert [event.detail for event in other.events()] == ["first"]
        assert other.served(MAC) == {"script": "one"}
    assert nonce is not None
    assert database.use(nonce, CLAIM).refusal is None


def test_an_error_undoes_all_that_is_written_together(database: Database) -> None:
    database.arm(FOREVER)
    kept = database.mint(MAC, Role.WORKER, ADDRESS) or ""
    lost: list[str] = []

    def boots() -> None:
        with database.together():
            lost.append(database.mint(MAC, Role.WORKER, ADDRESS) or "")
            database.record(Kind.DAEMON, "second", source="t")
            raise KeyError

    with pytest.raises(KeyError):
        boots()
    assert database.events() == []
    refused = database.use(lost[0], CLAIM).refusal
    assert refused is not None
    assert refused.why is Why.UNKNOWN
    assert database.use(kept, CLAIM).refusal is None, "it was replaced by one that nobody got"


def test_what_must_last_is_no_part_of_another_write(database: Database) -> None:
    """Or a power cut could take back what somebody was told."""

    def within() -> None:
        with database.together():
            database.arm(FOREVER)

    with pytest.raises(sqlite3.OperationalError):
        within()
    assert not database.armed()
    database.arm(FOREVER)
    assert database.armed()


def test_the_files_are_private(database: Database) -> None:
    database.record(Kind.DAEMON, "x", source="t")
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}
    assert set(names) == {"nodisk.db", "nodisk.db-wal", "nodisk.db-shm"}
    assert set(names.values()) == {0o600}


def test_a_second_connection_of_the_same_process_costs_no_record(database: Database) -> None:
    """POSIX locks are a process' own: closing any handle of a file drops all of them."""
    Database(database.path).close()
    code = "import sys; from pathlib import Path; from nodisk.records.database import Database; "
    code += "Database(Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", code, str(database.path)], check=True, env={**os.environ})
    database.record(Kind.DAEMON, "seen", source="t")
    with Database(database.path) as other:
        assert [event.detail for event in other.events()] == ["seen"]


@pytest.mark.parametrize("version", [1, 99])
def test_another_schema_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "nodisk.db"
    plain = sqlite3.connect(path)
    plain.execute(f"PRAGMA user_version = {version}")
    plain.close()
    with pytest.raises(NodiskError, match="written by another nodisk"):
        Database(path)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("unable to open database file"), PermissionError(13, "No")])
def test_who_may_not_read_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentProblem, match=r"can't be read and written: .* \(.*nodisk\.db\)") as caught:
        Database(tmp_path / "nodisk.db")
    assert caught.value.hint == "run it as root with sudo"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "nodisk.db").write_bytes(b"nothing of SQLite's" * 100)
    with pytest.raises(IntegrityError, match=r"damaged: file is not a database \(.*nodisk\.db\)"):
        Database(tmp_path / "nodisk.db")


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with Database(tmp_path / "none" / "nodisk.db", reading=True) as view:
        assert view.events() == []
        assert not view.armed()
        assert view.served(MAC) == {}
        assert (view.sightings.all(), view.printed.of(MAC), view.messages.current("k8s")) == ([], None, None)
        assert (view.next_boots.all(), view.inventories.all(), view.elsewhere.all()) == ({}, {}, {})
        assert view.remarks.all(remarks.Kind.BROKEN) == {}
        assert (view.console.invitations(), view.console.sessions()) == ([], [])
        assert (view.door.codes("k8s"), view.door.with_passphrase("k8s"), view.door.seen("k8s")) == ({}, set(), {})
    assert list(tmp_path.iterdir()) == []


def test_reading_leaves_records_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "nodisk.db"
    with Database(path) as database:
        database.record(Kind.DAEMON, "one", source="x")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with Database(path, reading=True) as view:
        assert [event.detail for event in view.events()] == ["one"]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            view.record(Kind.DAEMON, "two", source="x")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [found.name for found in tmp_path.iterdir()] == ["nodisk.db"], "SQLite left no log"


def test_reading_sees_what_a_server_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "nodisk.db"
    with Database(path) as database:
        for count in range(1, 4):
            database.record(Kind.DAEMON, "again", source="x")
            with Database(path, reading=True) as view:
                assert len(view.events()) == count


@pytest.mark.parametrize("version", [1, 99])
def test_reading_records_of_another_schema_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "nodisk.db"
    Database(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {version}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(NodiskError, match="another nodisk"):
        Database(path, reading=True)
    assert path.read_bytes() == before


def test_reading_damaged_records(tmp_path: Path) -> None:
    (tmp_path / "nodisk.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        Database(tmp_path / "nodisk.db", reading=True)


def test_a_machine_that_is_forgotten_leaves_only_events(tmp_path: Path) -> None:
    """In every table that there is: one that is added and not known to ``records.known`` fails here."""
    path = tmp_path / "nodisk.db"
    with Database(path) as database:
        database.record(Kind.STAGE, "", source="test", mac=MAC)
        database.set_nic(MAC, "pci:10ec:8168")
    raw = sqlite3.connect(path, isolation_level=None)
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    holding = []
    for table in tables:
        columns = {row[1]: (row[2], row[5]) for row in raw.execute(f"PRAGMA table_info ({table})")}
        if "mac" in columns and table != "event":
            holding.append(table)
            values = {name: MAC.value if name == "mac" else "1" for name in columns}
            raw.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", tuple(values.values()))  # noqa: S608
    assert len(holding) > 6
    with Database(path) as database:
        database.forget(MAC)
        assert database.nics() == {}
        assert len(database.events(mac=MAC)) == 1
    assert [table for table in holding if raw.execute(f"SELECT 1 FROM {table}").fetchone()] == []  # noqa: S608
    raw.close()
