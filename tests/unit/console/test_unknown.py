"""The page of unknown machines: to adopt, to ignore; and notes on broken PCs."""

from __future__ import annotations

import asyncio
import html
import re
import shlex
from ipaddress import IPv4Address

import pytest
from tests.unit.console.consoles import AWAY, W1, Browser, Room

from nodisk.commands.adoption import machines
from nodisk.console import security
from nodisk.console.snapshot import Snapshot
from nodisk.records import remarks
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.spec.load import load
from nodisk.values import Mac, Stage

NEW, PRINTER, NEVER = (Mac.parse(f"8c:ec:4b:00:00:{end}") for end in ("05", "06", "07"))
EVIL = "<script>alert(1)</script>"
ADOPT = f"/unknown/adopt?mac={NEW}&name=&seat="


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


def test_a_name_that_is_taken(room: Room, reloads: list[str]) -> None:
    browser = room.browser().sign_in()
    answer = browser.post(f"/unknown/adopt?mac={NEW}&name=w1", data=form(browser))
    assert answer.status_code == 409
    assert reloads == []


def test_what_is_nobody_s_is_left_out_until_it_is_shown_again(room: Room, reloads: list[str]) -> None:
    browser = room.browser().sign_in()
    assert browser.post("/unknown/ignore", data=form(browser, mac=PRINTER)).status_code == 303
    assert "Printer" not in browser.get("/unknown").text
    assert "Printer" in browser.get("/unknown?show=ignored").text
    assert "Unknown machines <b>1</b>" in room.browser().sign_in().get("/").text
    assert browser.post("/unknown/ignore", data=form(browser, mac=PRINTER, undo=1)).status_code == 303
    assert "Printer" in browser.get("/unknown").text
    for mac, status in ((NEVER, 404), ("x", 400)):
        assert browser.post("/unknown/ignore", data=form(browser, mac=mac)).status_code == status


def test_a_broken_pc(room: Room) -> None:
    room.report(Stage.READY)
    browser, note = room.browser().sign_in(), f"no picture {EVIL}"
    assert browser.post("/machine/w1/broken", data=form(browser, note=note)).status_code == 303
    assert room.database.remarks.all(remarks.Kind.BROKEN)[W1].note == note
    for path in ("/", "/machine/w1"):
        page = room.browser().sign_in().get(path).text
        assert "no picture &lt;script&gt;" in page
        assert EVIL not in page
    assert browser.post("/machine/w1/broken", data=form(browser, note="x" * 201)).status_code == 400
    assert browser.post("/machine/none/broken", data=form(browser, note="x")).status_code == 404
    assert browser.post("/machine/w1/broken", data=form(browser)).status_code == 303
    assert room.database.remarks.all(remarks.Kind.BROKEN) == {}


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators(room: Room, reloads: list[str], role: ConsoleRole) -> None:
    browser = room.browser().sign_in("jan", role)
    assert "/unknown" not in browser.get("/").text
    assert "/broken" not in browser.get("/machine/w1").text
    for path in ("/unknown", ADOPT):
        assert browser.get(path).status_code == 403
    for path in (ADOPT, "/unknown/ignore", "/machine/w1/broken"):
        data = form(browser, mac=NEW, note="x")
        assert browser.post(path, data=data).status_code == 403
    assert reloads == []


def test_other_sites_change_nothing(room: Room, reloads: list[str]) -> None:
    browser, other = room.browser().sign_in(), room.browser().sign_in("jan")
    before = room.console.context.file.read_bytes()
    for path in (ADOPT, "/unknown/ignore", "/machine/w1/broken"):
        right = form(browser, mac=NEW, note="x")
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
        assert (await browser.send("POST", "/machine/w1/broken", data=form(browser, note="no picture"))).is_redirect
        assert "no picture" in (await browser.send("GET", "/machine/w1")).text

    asyncio.run(do())
