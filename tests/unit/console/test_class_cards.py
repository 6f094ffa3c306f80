"""Codes by a class's page: who gets one, which command it is, the cards, and that the codes are nowhere else."""

from __future__ import annotations

import asyncio
import html
import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.waits import until_async
from tests.unit.classes.test_codes import Cards
from tests.unit.console.consoles import Room
from tests.unit.console.test_class_orders import form, teacher

from nodisk.classes import codes, plan, record, sizes
from nodisk.classes.codes import Waiting
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.cli import nodisk
from nodisk.console import class_files, code_orders, code_pages
from nodisk.console.code_orders import CodeAction
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder, Came
from nodisk.machines.buttons.button import Outcome
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended

CODES = "/class/physics/order?action=codes&all=1"
SOON = datetime(2030, 1, 1, tzinfo=UTC)
THREE = plan.merge(
    None,
    [Person("Jan Kowalski"), Person("Ewa Żak"), Person("Ola Lis")],
    name="physics",
    now=record.now(),
    size=sizes.find("small"),
    role="edit",
).record.model_copy(update={"out": "/somewhere"})
JAN, EWA, OLA = THREE.students
STATES = (
    Waiting(JAN, passphrase=True, ends=None),
    Waiting(EWA, passphrase=False, ends=SOON),
    Waiting(OLA, passphrase=False, ends=None),
)


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")


@pytest.mark.parametrize(
    ("action", "named", "every", "targets", "line"),
    [
        ("codes", [], True, ["ola-lis"], "nodisk class codes physics --print"),
        ("codes", ["ola-lis", "ewa-zak"], False, ["ola-lis"], "nodisk class codes physics --print"),
        ("renew_codes", ["ewa-zak"], False, ["ewa-zak"], "nodisk class codes physics ewa-zak --renew --print"),
        (
            "renew_codes",
            [],
            True,
            ["jan-kowalski", "ewa-zak", "ola-lis"],
            "nodisk class codes physics --renew --print",
        ),
    ],
)
def test_each_is_a_command_that_there_is(
    action: str, named: list[str], every: bool, targets: list[str], line: str
) -> None:
    found = code_orders.order(THREE, STATES, action, named, every=every)
    assert found is not None
    assert (list(found.targets), found.line) == (targets, line)
    group = nodisk.get_command(None, "class")  # type: ignore[arg-type]
    assert group is not None
    command = group.get_command(None, "codes")  # type: ignore[attr-defined]
    renew = action == CodeAction.RENEW
    for words, runs in ((shlex.split(found.line)[1:], False), (list(found.words), True)):
        params = command.make_context("codes", words[2:]).params
        assert (params["name"], params["cards"], params["renew"]) == ("physics", True, renew)
        assert params["yes"] == (runs and renew)
        if runs:
            assert list(params["student"]) == targets, "nobody who came meanwhile is meant"


@pytest.mark.parametrize("action", ["", "code", "suspend", "--renew"])
def test_what_is_no_order(action: str) -> None:
    assert code_orders.order(THREE, STATES, action, [], every=True) is None


def test_for_nobody_there_is_none() -> None:
    assert code_orders.order(THREE, STATES, "codes", ["jan-kowalski", "ewa-zak", "nobody"]) is None
    assert code_orders.order(THREE, STATES[:2], "codes", [], every=True) is None
    for without in ({"door": False}, {"out": None}):
        closed = THREE.model_copy(update=without)
        assert code_orders.order(closed, STATES, "renew_codes", [], every=True) is None


@given(st.text() | st.sampled_from(list(CodeAction)), st.lists(st.text() | st.just("ola-lis"), max_size=3))
def test_whatever_is_asked_no_other_word_reaches_the_command(action: str, labels: list[str]) -> None:
    found = code_orders.order(THREE, STATES, action, labels)
    if found is not None:
        known = {"class", "codes", "physics", "ola-lis", "--renew", "--yes", "--print", "--output", "json"}
        assert set(found.words) <= known


def test_what_came_of_it() -> None:
    order = code_orders.order(THREE, STATES, "codes", [], every=True)
    assert order is not None
    said = json.dumps({"students": [{"state": "new code", "code": None}, {"state": "has a passphrase"}]})
    told = order.came(0, said, "wrote 1 cards to /somewhere\nwarning: nobody can sign in\n")
    assert told == (Came("physics", Outcome.CONFIRMED, "new codes: 1; nobody can sign in"),)
    assert order.came(0, '{"students": []}', "")[0].detail == "nobody needed a new code"
    assert order.came(2, "", "error: has ended\n") == (Came("physics", Outcome.UNKNOWN, "has ended"),)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_output_of_the_command(output: str) -> None:
    order = code_orders.order(THREE, STATES, "codes", [], every=True)
    assert order is not None
    assert order.came(0, output, "")[0].outcome is Outcome.CONFIRMED


def test_from_the_page_to_the_cards(room: Room, physics: Class, tmp_path: Path) -> None:
    """By the command itself. The codes are on the cards alone, which one browser gets, and nobody after it."""
    browser, other = teacher(room), teacher(room, "Jan Lis")
    before = browser.get("/class/physics").text
    assert before.count("no code") == 2
    assert 'id="cards"' not in before
    asked = html.unescape(browser.get(CODES).text)
    assert "Students: 2" in asked
    assert "nodisk class codes physics --print" in asked
    assert room.database.door.codes("physics") == {}
    path = tmp_path / "handouts" / "physics.codes.html"

    async def do() -> str:
        answer = await browser.send("POST", CODES, data=form(browser, "2"))
        place = answer.headers["location"]
        live = await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        done = (await browser.send("GET", place)).text
        assert "new codes: 2" in done
        assert 'href="/class/physics#cards"' in done
        return str(live.text + done)

    shown = asyncio.run(do())
    assert path.stat().st_mode & 0o777 == 0o600
    listed = browser.get("/class/physics").text
    assert 'id="cards"' in listed
    assert "code not used yet" in listed
    # Another teacher gets none, nor does another site, and a page that is opened takes nothing.
    assert other.post("/class/physics/cards", data=form(other)).status_code == 404
    assert browser.post("/class/physics/cards", data=form(other)).status_code == 403
    for origin in ("https://evil.example", "null", ""):
        assert browser.post("/class/physics/cards", data=form(browser), headers={"Origin": origin}).status_code == 403
    assert browser.get("/class/physics/cards").headers["location"] == "/class/physics"
    assert path.exists()
    taken = browser.post("/class/physics/cards", data=form(browser))
    assert taken.status_code == 200
    assert taken.headers["cache-control"] == "no-store"
    assert taken.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in taken.headers["content-security-policy"]
    assert taken.headers["content-disposition"] == 'inline; filename="physics.codes.html"'
    cards = Cards(taken.text)
    assert len(set(cards.codes)) == 2
    assert not path.exists()
    # Who clicks twice gets them twice; nobody else does, nor does the same teacher by another session.
    assert browser.post("/class/physics/cards", data=form(browser)).content == taken.content
    again = teacher(room)
    assert again.post("/class/physics/cards", data=form(again)).status_code == 404
    assert 'id="cards"' not in browser.get("/class/physics").text
    told = room.told(Kind.DAEMON)
    assert told.count("console: Anna Nowak (teacher) took the cards with codes of class physics") == 1
    assert "console: Anna Nowak (teacher): nodisk class codes physics --print: 1 confirmed" in told
    for code in cards.codes:
        for text in (shown, listed, *told):
            assert code not in text
            assert code.replace("-", "") not in text


def test_who_has_one_already_is_asked_for_by_replacing(room: Room, physics: Class) -> None:
    room.console.errands = Errands(_refuse)
    state = room.database.door
    codes.issue(state, physics, physics.students, ends=physics.expires)
    browser = teacher(room)
    answer = browser.get(CODES)
    assert answer.status_code == 400
    assert "none of these needs a code" in answer.text
    asked = html.unescape(browser.get(CODES.replace("codes", "renew_codes")).text)
    assert "Their codes, passphrases and sessions end at once." in asked
    assert "nodisk class codes physics --renew --print" in asked
    # What was confirmed for two is not done for one.
    one = CODES.replace("codes&all=1", "renew_codes&student=ewa-zak")
    assert browser.post(one, data=form(browser, "2")).status_code == 409


def test_only_who_teaches_it(room: Room, physics: Class) -> None:
    room.console.errands = Errands(_refuse)
    viewer, other = room.browser().sign_in("Anna Nowak", ConsoleRole.VIEWER), teacher(room, "Jan Lis")
    for browser, status in ((viewer, 403), (other, 404)):
        assert browser.get(CODES).status_code == status
        assert browser.post(CODES, data=form(browser, "2")).status_code == status
        assert browser.post("/class/physics/cards", data=form(browser)).status_code == status
    admin = room.browser().sign_in("root")
    assert admin.get(CODES).status_code == 200


def test_a_class_without_a_door_has_no_codes(room: Room, physics: Class) -> None:
    room.console.errands = Errands(_refuse)
    record.save(room.console.context.state, physics.model_copy(update={"door": False}))
    browser = teacher(room)
    assert "renew_codes" not in browser.get("/class/physics").text
    assert browser.get(CODES).status_code == 400
    assert browser.post("/class/physics/cards", data=form(browser)).status_code == 404


def test_to_keep_as_a_file(room: Room, physics: Class, tmp_path: Path) -> None:
    path = tmp_path / "handouts" / "physics.codes.html"
    path.parent.mkdir()
    path.write_text("<h1>cards</h1>")
    browser = teacher(room)
    data = form(browser) | {"download": "1"}
    taken = browser.post("/class/physics/cards", data=data)
    assert taken.headers["content-disposition"] == 'attachment; filename="physics.codes.html"'
    assert taken.headers["x-content-type-options"] == "nosniff"
    assert not path.exists()


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "none"])
def test_what_is_no_file_of_the_class(tmp_path: Path, kind: str) -> None:
    """The folder may be somebody's own: a link there must not lead to what only root reads."""
    secret, path = tmp_path / "secret", tmp_path / "physics.codes.html"
    secret.write_text("root's")
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    for once in (True, False):
        assert class_files.read(path, once=once) is None
    assert secret.read_text() == "root's"


def test_the_page_of_cards_may_show_its_own_style_alone() -> None:
    """The hash of https://www.w3.org/TR/CSP3/#framework-directive-source-list, over what is between the tags."""
    made = code_pages.policy(b"<style>a{}</style><style>b{}</style>")
    assert "style-src 'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk=';" in made
    assert made == code_pages.policy(b"x<style>a{}</style>")
    assert "style-src 'none';" in code_pages.policy(b"<p style='color: red'>")


def test_cards_are_forgotten_in_a_while(
    room: Room, physics: Class, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_pages, "AGAIN", 0.0)
    path = tmp_path / "handouts" / "physics.codes.html"
    path.parent.mkdir()
    path.write_text("<h1>cards</h1>")
    browser = teacher(room)

    async def do() -> None:
        assert (await browser.send("POST", "/class/physics/cards", data=form(browser))).status_code == 200
        await until_async(lambda: not room.console.cards, every=0, why="they are kept")
        assert (await browser.send("POST", "/class/physics/cards", data=form(browser))).status_code == 404

    asyncio.run(do())
