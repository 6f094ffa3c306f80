"""What the pages show: looks, order, counts, filters, timelines, languages."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import W1, Room

from nodisk.console import (
    boot_orders,
    care_orders,
    class_making,
    class_orders,
    code_orders,
    orders,
    pages,
    remark_orders,
    rights,
    snapshot,
    tell_orders,
    upgrade_orders,
    view,
    words,
)
from nodisk.console.view import Look
from nodisk.context import LabContext
from nodisk.kube.addon_sets import State as AddonState
from nodisk.machines import guesses, pace, status
from nodisk.machines.asked import Api, Asked, NodeView
from nodisk.machines.status import Status
from nodisk.records import printed
from nodisk.records.console_access import ConsoleRole
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Stage

LAB = """\
name: hall
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: a, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}
  - {name: b, mac: "52:54:00:00:00:02", address: 10.77.0.12, seat: "2,1"}
  - {name: c, mac: "52:54:00:00:00:03", address: 10.77.0.13, seat: "1,10"}
  - {name: d, mac: "52:54:00:00:00:04", address: 10.77.0.14, seat: "1,2"}
"""
T0 = 1_000_000.0


class Hall:
    """Four machines, and what they reported."""

    def __init__(self, folder: Path) -> None:
        (folder / "lab.yaml").write_text(LAB)
        lab = load(folder / "lab.yaml")
        self.context = LabContext(lab, folder / "lab.yaml", State(folder / "state").lab("hall"), None)
        self.nodes: dict[str, NodeView] = {}

    def report(self, name: str, *stages: tuple[Stage, float, str]) -> None:
        machine = self.context.lab.machine(name)
        assert machine is not None
        for stage, at, detail in stages:
            with Database(self.context.state.database, now=functools.partial(float, T0 + at)) as database:
                database.record(Kind.STAGE, detail, source="x", mac=machine.mac, machine=name, boot_id="1", stage=stage)

    def status(self, at: float) -> Status:
        asked = Asked(Api.ANSWERS, self.nodes, "API answers")
        return status.of_records(self.context, asked, now=lambda: T0 + at)


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return Hall(tmp_path)


def looks(room: view.Room) -> dict[str, Look]:
    return {tile.name: tile.look for tile in room.tiles}


def test_seats_in_order_then_those_without_one(hall: Hall) -> None:
    room = view.room(hall.status(0))
    assert [tile.name for tile in room.tiles] == ["d", "c", "b", "a"]
    lab = hall.context.lab
    assert [view.neighbours(lab, machine) for machine in lab.machines] == [
        ("b", ""), ("c", "a"), ("d", "b"), ("", "c"),
    ]  # fmt: skip


def test_every_look_and_a_filter(hall: Hall) -> None:
    hall.report("a", (Stage.READY, 0, ""))
    hall.report("b", (Stage.FAILED, 0, "rootfs: the hash is another"))
    hall.report("c", (Stage.ROOTFS, 50, ""))
    hall.nodes = {"a": NodeView("True", "v1", "1")}
    room = view.room(hall.status(60))
    assert looks(room) == {"a": Look.READY, "b": Look.FAILED, "c": Look.UNDER_WAY, "d": Look.OFF}
    assert room.counts == {
        Look.READY: 1, Look.FAILED: 1, Look.UNDER_WAY: 1, Look.OFF: 1, Look.SILENT: 0,
    }  # fmt: skip
    assert room.slowest is not None
    assert room.slowest.name == "c"
    assert next(tile.line for tile in room.tiles if tile.name == "b") == "rootfs: the hash is another"
    filtered = view.room(hall.status(60), view.looks("failed,off,nonsense"))
    assert looks(filtered) == {"b": Look.FAILED, "d": Look.OFF}
    assert filtered.counts == room.counts


def test_the_slowest_has_a_guess(room: Room) -> None:
    """On the page, in both languages; what the machine prints of itself stays text."""
    room.report(Stage.OS)
    room.database.printed.put(W1, printed.lines("nodisk: FAILED: <b>.service: x\nnodisk: FAILED: a.service: x"))
    browser = room.browser().sign_in()
    assert "(perhaps a service of it: it printed that a.service failed)" in browser.get("/").text
    assert "(może usługa: wypisał, że a.service zawiodła)" in browser.get("/?lang=pl").text


def test_a_machine_that_says_nothing_any_more(hall: Hall) -> None:
    hall.report("c", (Stage.ROOTFS, 0, ""))
    hall.report("a", (Stage.READY, 0, ""))
    hall.nodes = {"a": NodeView("False", "v1", "1")}
    found = looks(view.room(hall.status(pace.TOO_LONG + 1)))
    assert found["c"] is Look.SILENT
    assert found["a"] is Look.SILENT


def test_a_timeline_beside_the_room_s_median(hall: Hall) -> None:
    for name, seconds in (("a", 10.0), ("b", 20.0), ("c", 90.0)):
        hall.report(name, (Stage.KERNEL, 0, ""), (Stage.ROOTFS, seconds, ""))
    found = hall.status(100)
    row = view.row_of(found, "c")
    assert row is not None
    first, second = view.timeline(row, found.rows)
    assert (first.stage, first.took, first.median) == ("kernel", None, None)
    assert (second.stage, second.took, second.median) == ("rootfs", 90.0, 20.0)
    assert view.row_of(found, "nobody") is None


@given(st.text(max_size=300))
def test_any_filter_is_some_of_the_looks(text: str) -> None:
    assert view.looks(text) <= set(Look)


def test_every_look_has_its_own_sign_and_word() -> None:
    assert len(set(view.SIGNS.values())) == len(set(view.WORDS.values())) == len(Look)


def test_every_word_of_a_page_is_in_polish() -> None:
    used = set(view.WORDS.values()) | {item.word for item in rights.MENU} | set(ConsoleRole)
    used |= {*orders.WORDS.values(), *class_orders.WORDS.values(), *class_orders.EFFECTS.values()}
    used |= {*code_orders.WORDS.values(), *code_orders.EFFECTS.values(), "To the cards"}
    used |= {*remark_orders.WORDS.values(), *remark_orders.EFFECTS.values()}
    used |= {*remark_orders.IGNORE_WORDS.values(), *remark_orders.IGNORE_EFFECTS.values(), "Unknown machines"}
    used |= {*filter(None, pages.ADDONS.values()), *AddonState}
    used |= {"Back to the unknown machines"} | set(guesses.TEXTS)
    used |= {"no code", "code not used yet", "has a passphrase"}
    used |= {*boot_orders.WORDS.values(), *boot_orders.EFFECTS.values()}
    used |= {*tell_orders.WORDS.values(), *tell_orders.EFFECTS.values()}
    used |= {*class_making.WORDS.values(), *class_making.WRONG}
    used |= {*care_orders.WORDS.values(), *care_orders.EFFECTS.values()}
    used |= {*upgrade_orders.WORDS.values(), *upgrade_orders.EFFECTS.values(), *pages.BUILDS.values()}
    used |= {"Machines", "Students", "Classes", "Back to the room", "Back to the class", "Back to the upgrade"}
    for template in (pages.HERE / "templates").glob("*.html"):
        used |= set(re.findall(r'\b_\("([^"]+)"\)', template.read_text()))
    assert used <= words.POLISH.keys()


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "pl-PL,pl;q=0.9,en;q=0.8", "pl"),
        ("", "de,en-GB;q=0.7,pl;q=0.3", "en"),
        ("", "", "en"),
        ("pl", "en", "pl"),
        ("xx", "pl", "pl"),
    ],
)
def test_languages(asked: str, accepted: str, language: str) -> None:
    assert words.choose(asked, accepted) == language


def test_every_table_is_made_by_the_one_macro() -> None:
    """So each has headings, a name for who hears it, and can be moved sideways."""
    of_their_own = [path.name for path in (pages.HERE / "templates").glob("*.html") if "<table" in path.read_text()]
    assert of_their_own == ["table.html"]


@given(st.text(max_size=40), st.text(max_size=300))
def test_any_header_is_some_language(asked: str, accepted: str) -> None:
    assert words.choose(asked, accepted) in words.LANGUAGES


def test_pages_in_polish_and_the_choice_is_kept(room: Room) -> None:
    room.report(Stage.ROOTFS)
    browser = room.browser().sign_in()
    assert "under way" in browser.get("/").text
    page = browser.get("/?lang=pl").text
    assert '<html lang="pl">' in page
    assert "startuje" in page
    assert "Zdarzenia" in browser.get("/machine/w1").text


def test_the_api_is_the_status(room: Room) -> None:
    room.report(Stage.ROOTFS)
    found = room.browser().sign_in().get("/api/status").json()
    assert found["lab"] == "room"
    assert next(one["stage"] for one in found["machines"] if one["name"] == "w1") == "rootfs"


def test_many_browsers_are_written_one_room(hall: Hall) -> None:
    once = snapshot.Once()
    made: list[str] = []

    def make(text: str) -> Callable[[], str]:
        def now() -> str:
            made.append(text)
            return text

        return now

    first, second = hall.status(100.0), hall.status(101.0)
    assert [once.get(first, ("en", ticks), make(f"first {ticks}")) for ticks in (True, True, False, True)] == [
        "first True",
        "first True",
        "first False",
        "first True",
    ]
    assert once.get(second, ("en", True), make("second")) == "second"
    assert made == ["first True", "first False", "second"]


def test_no_page_needs_the_script_or_has_style_in_it(room: Room) -> None:
    room.report(Stage.ROOTFS)
    browser = room.browser().sign_in()
    for path in ("/", "/machine/w1", "/activity", "/sign-in"):
        page = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! src=)", page)
    assert '<noscript><meta http-equiv="refresh"' in browser.get("/").text
    assert 'href="/machine/w1"' in browser.get("/").text


def test_the_bar_of_a_machine_that_is_ready_is_full() -> None:
    assert len([stage for stage in Stage if stage is not Stage.FAILED]) - 1 == view.STEPS
