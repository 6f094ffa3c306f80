"""The page of unknown machines: to adopt, to ignore; and notes on broken PCs."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
from ipaddress import IPv4Address
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import AWAY, W1, Browser, Room
from tests.unit.spec.labs import TEN_LINES

from nodisk.commands.adoption import machines
from nodisk.console import remark_orders, security
from nodisk.console.remark_orders import IgnoreAction, IgnoreOrder, NoteAction, NoteOrder
from nodisk.console.snapshot import Snapshot
from nodisk.machines.buttons.button import Outcome
from nodisk.records import remarks
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.spec.load import load, parse
from nodisk.values import Mac, Stage

NEW, PRINTER, NEVER = (Mac.parse(f"8c:ec:4b:00:00:{end}") for end in ("05", "06", "07"))
EVIL = "<script>alert(1)</script>"
ADOPT = f"/unknown/adopt?mac={NEW}&name=&seat="
ORDERS = (ADOPT, f"/unknown/ignore?action=ignore&mac={NEW}", "/switch?machine=w1&action=broken&note=x")
LAB = parse(TEN_LINES, file="x")


@pytest.fixture
def reloads(room: Room) -> list[str]:
    """A room that two unknown machines asked, and how often its server was told to read lab.yaml again."""
    told: list[str] = []
    room.console.reload = lambda: told.append("reload")
    for mac, product in ((NEW, EVIL), (PRINTER, "Printer")):
        room.database.sightings.see(
            mac, address=IPv4Address("10.77.0.50"), said={"product": product, "memsize": "8066"}
        )
    return told


def form(browser: Browser, **more: object) -> dict[str, str]:
    return {"token": security.form_token(browser.token), **{key: str(value) for key, value in more.items()}}


def test_it_is_asked_for_once_more_and_then_written(room: Room, reloads: list[str]) -> None:
    browser = room.browser().sign_in()
    assert "Unknown machines <b>2</b>" in browser.get("/").text
    page = browser.get("/unknown").text
    assert (str(NEW) in page, "8066 MiB" in page, EVIL in page) == (True, True, False)
    asked = html.unescape(browser.get(f"/unknown/adopt?mac={NEW}&name=teacher&seat=1,2").text)
    assert f"nodisk machines adopt {NEW} teacher --seat 1,2" in asked
    found = re.search(r'action="(/unknown/adopt[^"]*)"', asked)
    assert found is not None
    path = room.console.context.file
    assert str(NEW) not in path.read_text()
    answer = browser.post(found[1], data=form(browser))
    assert answer.status_code == 200
    assert "teacher" in answer.text
    (machine,) = (one for one in load(path).machines if one.mac == NEW)
    assert (str(machine.name), str(machine.seat)) == ("teacher", "1,2")
    assert reloads == ["reload"]
    assert f"console: anna (admin): nodisk machines adopt {NEW} teacher --seat 1,2: teacher, {machine.address}" in (
        room.told(Kind.DAEMON)
    )
    # Somebody else, whose page is older, is told so; the file is left as it is.
    other = room.browser().sign_in("jan")
    answer = other.post(ADOPT, data=form(other))
    assert answer.status_code == 409
    assert "it is teacher" in html.unescape(answer.text)
    assert reloads == ["reload"]


def test_the_next_free_name_and_address(room: Room, reloads: list[str]) -> None:
    browser = room.browser().sign_in()
    assert browser.post(ADOPT, data=form(browser)).status_code == 200
    machines = load(room.console.context.file).machines
    assert (machines[-1].mac, str(machines[-1].name)) == (NEW, f"w{len(machines) - 1}")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"mac={NEVER}", 404),
        ("mac=", 400),
        ("mac=w1", 400),
        (f"mac={NEW}&name=--all", 400),
        (f"mac={NEW}&name=a b", 400),
        (f"mac={NEW}&name={EVIL}", 400),
        (f"mac={NEW}&seat=x", 400),
    ],
)
def test_what_can_not_be_adopted(room: Room, reloads: list[str], query: str, status: int) -> None:
    browser, before = room.browser().sign_in(), room.console.context.file.read_bytes()
    assert browser.get(f"/unknown/adopt?{query}").status_code == status
    assert browser.post(f"/unknown/adopt?{query}", data=form(browser)).status_code == status
    assert room.console.context.file.read_bytes() == before
    assert reloads == []


def test_one_that_was_adopted_meanwhile_is_not_offered_again(room: Room) -> None:
    """Its page may be open in another browser, and be loaded again."""
    browser = room.browser().sign_in()
    known = room.console.lab.machines[0]
    room.database.sightings.see(known.mac, address=IPv4Address("10.77.0.50"), said={})
    answer = browser.get(f"/unknown/adopt?mac={known.mac}&name=w9")
    assert answer.status_code == 409
    assert f"it is {known.name} ({known.address})" in answer.text


def test_a_name_that_is_taken(room: Room, reloads: list[str]) -> None:
    browser = room.browser().sign_in()
    answer = browser.post(f"/unknown/adopt?mac={NEW}&name=w1", data=form(browser))
    assert answer.status_code == 409
    assert reloads == []


def _ignore(mac: Mac, action: str = "ignore") -> str:
    return f"/unknown/ignore?action={action}&mac={mac}"


def test_what_is_nobody_s_is_left_out_until_it_is_shown_again(room: Room, reloads: list[str]) -> None:
    """By the command itself, which the confirmation names."""
    browser = room.browser().sign_in()
    asked = browser.get(_ignore(PRINTER)).text
    assert "Unknown machines: 1" in asked
    assert f"nodisk machines ignore {PRINTER}" in asked
    assert room.database.remarks.all(remarks.Kind.IGNORED) == {}
    assert f"ignored: {PRINTER}" in done(browser, address_in(asked))
    assert "Printer" not in browser.get("/unknown").text
    assert "Printer" in browser.get("/unknown?show=ignored").text
    assert "Unknown machines <b>1</b>" in room.browser().sign_in().get("/").text
    asked = browser.get(_ignore(PRINTER, "show_again")).text
    assert f"nodisk machines ignore {PRINTER} --undo" in asked
    browser = room.browser().sign_in()
    assert "confirmed: <strong>1</strong>" in done(browser, address_in(asked))
    assert "Printer" in browser.get("/unknown").text
    for path, status in (
        (_ignore(NEVER), 404),
        ("/unknown/ignore?action=ignore&mac=x", 400),
        (_ignore(PRINTER, ""), 400),
        (_ignore(PRINTER, "--undo"), 400),
    ):
        assert browser.get(path).status_code == status
        assert browser.post(path, data=form(browser, count=1)).status_code == status


def address_in(page: str) -> str:
    """Where the page of a confirmation leads."""
    found = re.search(r'<form method="post" action="(/(?:switch|unknown)[^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def done(browser: Browser, address: str, count: int = 1) -> str:
    """Confirm, and follow it to its end: the page that says what came of it."""

    async def do() -> str:
        answer = await browser.send("POST", address, data=form(browser, count=count))
        place = answer.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        return html.unescape((await browser.send("GET", place)).text)

    return asyncio.run(do())


def test_a_broken_pc(room: Room) -> None:
    """By the command itself; the same for some, a row or all."""
    room.report(Stage.READY)
    browser, note = room.browser().sign_in(), f"no picture {EVIL}"
    path = f"/switch?machine=w1&action=broken&note={quote(note)}"
    asked = browser.get(path).text
    assert EVIL not in asked
    assert f"nodisk machines broken w1 --note '{note}'" in html.unescape(asked)
    assert room.database.remarks.all(remarks.Kind.BROKEN) == {}
    done(browser, address_in(asked))
    assert room.database.remarks.all(remarks.Kind.BROKEN)[W1].note == note
    for shown in ("/", "/machine/w1"):
        page = room.browser().sign_in().get(shown).text
        assert "no picture &lt;script&gt;" in page
        assert EVIL not in page
    browser = room.browser().sign_in()
    assert browser.get("/switch?machine=w1&action=broken&note=" + "x" * 201).status_code == 400
    assert browser.get("/switch?machine=w1&action=broken&note=%20%0a").status_code == 400
    assert browser.get("/switch?machine=none&action=broken&note=x").status_code == 400
    # What is still to be said is asked for.
    blank = browser.get("/switch?action=broken&all=1").text
    assert re.search(r'<input id="note" name="note"[^>]* required>', blank)
    asked = browser.get("/switch?action=mended&all=1").text
    assert "nodisk machines broken --all --mended" in asked
    said = done(browser, address_in(asked), 2)
    assert "confirmed: <strong>2</strong>" in said
    assert said.count("was not noted as broken") == 1
    assert room.database.remarks.all(remarks.Kind.BROKEN) == {}
    told = room.told(Kind.DAEMON)
    assert "console: anna (admin): nodisk machines broken --all --mended: 2 confirmed" in told


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("action", [*NoteAction, *IgnoreAction])
def test_each_note_is_a_command_that_there_is(room: Room, action: NoteAction | IgnoreAction, every: bool) -> None:
    found: NoteOrder | IgnoreOrder | None
    if isinstance(action, IgnoreAction):
        found = IgnoreOrder(action, NEW)
    else:
        found = remark_orders.order(room.console.lab, action, ["w1", "none"], "--no picture", every=every)
    assert found is not None
    for words, line in ((list(found.words), False), (shlex.split(found.line)[1:], True)):
        params = machines.commands[words[1]].make_context(words[1], words[2:]).params
        if isinstance(found, IgnoreOrder):
            assert (params["mac"], params["undo"]) == (str(NEW), action is IgnoreAction.AGAIN)
            continue
        assert (params["note"], params["mended"]) == (
            (None, True) if action is NoteAction.MENDED else ("--no picture", False)
        )
        named = ["cp1", "w1"] if every else ["w1"]
        assert (list(params["names"]), params["every"]) == (([], True) if line and every else (named, False))


@given(st.text() | st.sampled_from(list(NoteAction)), st.lists(st.text() | st.just("w1"), max_size=3), st.text())
def test_whatever_is_asked_no_other_word_reaches_the_command(action: str, names: list[str], note: str) -> None:
    try:
        found = remark_orders.order(LAB, action, names, note)
    except ValueError:
        return
    if found is not None:
        place = found.words.index("--note") + 1 if "--note" in found.words else 0
        known = {"machines", "broken", "w1", "--note", "--mended", "--output", "json"}
        assert {word for at, word in enumerate(found.words) if at != place} <= known


@given(st.integers(-3, 3), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps), st.text())
def test_any_end_of_the_command(status: int, output: str, errors: str) -> None:
    for found in (NoteOrder(NoteAction.BROKEN, ("w1", "w2"), False, "x"), IgnoreOrder(IgnoreAction.IGNORE, NEW)):
        came = found.came(status, output, errors)
        assert [one.name for one in came] == list(found.targets)
        assert {one.outcome for one in came} == {Outcome.CONFIRMED if status == 0 else Outcome.UNKNOWN}


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators(room: Room, reloads: list[str], role: ConsoleRole) -> None:
    browser = room.browser().sign_in("jan", role)
    assert "/unknown" not in browser.get("/").text
    assert "broken" not in browser.get("/machine/w1").text
    for path in ("/unknown", *ORDERS):
        assert browser.get(path).status_code == 403
    for path in ORDERS:
        assert browser.post(path, data=form(browser, count=1)).status_code == 403
    assert reloads == []


def test_other_sites_change_nothing(room: Room, reloads: list[str]) -> None:
    browser, other = room.browser().sign_in(), room.browser().sign_in("jan")
    before = room.console.context.file.read_bytes()
    for path in ORDERS:
        right = form(browser, count=1)
        for origin in ("https://evil.example", "null", ""):
            assert browser.post(path, data=right, headers={"Origin": origin}).status_code == 403
        for data in ({}, right | form(other)):
            assert browser.post(path, data=data).status_code == 403
    assert room.console.context.file.read_bytes() == before
    assert (room.database.remarks.all(remarks.Kind.BROKEN), reloads) == ({}, [])


def test_the_command_is_one_that_there_is(room: Room, reloads: list[str]) -> None:
    asked = html.unescape(room.browser().sign_in().get(f"/unknown/adopt?mac={NEW}&name=a&seat=1,1").text)
    line = re.search(r"<code>(.*)</code>", asked)
    assert line is not None
    words = shlex.split(line[1])[2:]
    params = machines.commands["adopt"].make_context("adopt", words[1:]).params
    assert (params["mac"], params["name"], params["seat"]) == (str(NEW), "a", "1,1")


def test_what_was_noted_is_seen_at_once(room: Room) -> None:
    """Also by a browser that has read the room a moment ago."""
    browser = room.browser().sign_in()
    room.console.snapshot = Snapshot(room.console.context, ask=lambda _: AWAY, now=lambda: 100.0)

    async def do() -> None:
        assert "no picture" not in (await browser.send("GET", "/machine/w1")).text
        order = "/switch?machine=w1&action=broken&note=no+picture"
        answer = await browser.send("POST", order, data=form(browser, count=1))
        await browser.send("GET", f"/live?switched={answer.headers['location'].rpartition('/')[2]}")
        assert "no picture" in (await browser.send("GET", "/machine/w1")).text

    asyncio.run(do())
