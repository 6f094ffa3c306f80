"""What the lab's records say is done is on the disk: its power is cut right after the answer."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.support.power_cut import disk

from nodisk import files, run
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER, Claim, Why
from nodisk.records.turns import Turned
from nodisk.spec.timetable import Turn
from nodisk.values import Mac, Role

pytestmark = pytest.mark.interop

MAC = Mac.parse("52:54:00:00:00:01")
ADDRESS = IPv4Address("10.77.0.11")
TURNED = Turned(Turn.OFF, 5.0)
CLAIM = Claim(MAC, Role.WORKER, ADDRESS, "the first request")


def cut_after(folder: Path, write: Callable[[Database], object], look: Callable[[Database], object]) -> object:
    """What ``look`` shows when the power came back that was cut right after ``write``."""
    with disk(folder, mib=16) as place:
        path = place.mount / "nodisk.db"
        database = Database(path)
        database.arm(FOREVER)
        run.run(["sync", "--file-system", place.mount])
        write(database)
        place.cut()
        with contextlib.suppress(sqlite3.Error):  # it can't write any more
            database.close()
        place.pull_out()
        assert place.check() == ""
        place.plug_in()
        with Database(path) as again:
            return look(again)


def invite_and_sign_out(database: Database) -> None:
    found = database.console.sign_in(database.console.invite("anna", ConsoleRole.TEACHER, seconds=600))
    assert found is not None
    database.console.sign_out(found[0])


def measure(database: Database) -> None:
    database.inventories.ask(MAC, until=FOREVER, seconds=7)


def wish(database: Database) -> None:
    database.next_boots.set(MAC, "local", once=True)
    database.next_boots.serve(MAC, begins=True)


DONE: dict[str, tuple[Callable[[Database], object], Callable[[Database], object], object]] = {
    "armed": (lambda db: None, lambda db: db.armed(), True),
    "disarmed": (lambda db: db.disarm(), lambda db: db.armed(), False),
    "room": (lambda db: db.turn(TURNED), lambda db: db.turned(), TURNED),
    "enrolled": (lambda db: db.enrolled(MAC, 5.0, ["ssh-ed25519 A"]), lambda db: db.host_keys(MAC), ("ssh-ed25519 A",)),
    "next boot, used": (wish, lambda db: db.next_boots.all()[MAC].served is not None, True),
    "to be measured": (measure, lambda db: db.inventories.wanted(MAC), 7),
    "signed out": (invite_and_sign_out, lambda db: (db.console.sessions(), db.console.invitations()), ([], [])),
}


@pytest.mark.parametrize("what", DONE)
def test_what_somebody_was_told_is_done(what: str, tmp_path: Path) -> None:
    write, look, wanted = DONE[what]
    assert cut_after(tmp_path, write, look) == wanted


def test_a_nonce_counts_once(tmp_path: Path) -> None:
    minted: list[str] = []

    def use(database: Database) -> None:
        minted.append(database.mint(MAC, Role.WORKER, ADDRESS) or "")
        assert database.use(minted[0], CLAIM).refusal is None

    def again(database: Database) -> object:
        refusal = database.use(minted[0], replace(CLAIM, request="another")).refusal
        return refusal and refusal.why

    assert cut_after(tmp_path, use, again) is Why.USED


def test_events_lose_their_end_and_nothing_before(tmp_path: Path) -> None:
    """It proves the cut, too: what nobody synced is gone."""

    def write(database: Database) -> None:
        for number in range(20):
            database.record(Kind.NODE, f"event {number}", source="test")
            if number == 9:
                database.disarm()

    found = cut_after(tmp_path, write, lambda db: [event.detail for event in db.events()])
    assert found == [f"event {number}" for number in range(10)]


@pytest.mark.parametrize("synced", [True, False])
def test_what_was_removed_stays_removed(synced: bool, tmp_path: Path) -> None:
    """A class that was deleted, a password, an upgrade that is over; and that without a sync they would be back."""
    with disk(tmp_path, mib=16) as place:
        path = place.mount / "k8s.json"
        files.write(path, "{}")
        run.run(["sync", "--file-system", place.mount])
        if synced:
            assert files.remove(path)
            assert not files.remove(path)
        else:
            path.unlink()
        place.cut()
        place.pull_out()
        assert place.check() == ""
        place.plug_in()
        assert path.exists() != synced
