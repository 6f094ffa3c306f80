"""Switching machines by pages: who may, what is asked first, and what others can't make of it."""

from __future__ import annotations

import asyncio
import html
import re

import pytest
from tests.unit.console.consoles import Browser, Room

from nodisk.console import security
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended

SWITCH = "/switch?action=off&machine=w1"
ANSWER = '{"machines": [{"name": "w1", "outcome": "confirmed", "detail": "<b>was seen</b>"}]}'


async def _answer(order: AnyOrder) -> Ended:
    return Ended(0, ANSWER, "")


def form(browser: Browser, count: str = "1") -> dict[str, str]:
    return {"token": security.form_token(browser.token), "count": count}


def test_it_asks_first_and_says_what_came_of_it(room: Room) -> None:
    room.console.errands = Errands(_answer)
    browser = room.browser().sign_in()
    assert 'name="machine" value="w1"' in browser.get("/").text
    asked = html.unescape(browser.get(SWITCH).text)
    assert "Machines: 1" in asked
    assert "nodisk power off w1" in asked
    found = re.search(r'action="(/switch[^"]*)"', asked)
    assert found is not None
    assert not any("power" in line for line in room.told(Kind.DAEMON)), "nothing is done yet"

    async def do() -> None:
        answer = await browser.send("POST", found[1], data=form(browser))
        assert answer.status_code == 303
        place = answer.headers["location"]
        told = (await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")).text
        assert told.endswith("event: over\ndata: \n\n")
        page = (await browser.send("GET", place)).text
        assert "confirmed: <strong>1</strong>" in page
        assert "&lt;b&gt;was seen" in page
        assert "<b>was seen" not in page

    asyncio.run(do())
    assert [line for line in room.told(Kind.DAEMON) if "power" in line] == [
        "console: anna (admin): nodisk power off w1",
        "console: anna (admin): nodisk power off w1: 1 confirmed",
    ]


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators_switch(room: Room, role: ConsoleRole) -> None:
    room.console.errands = Errands(_refuse)
    browser = room.browser().sign_in("jan", role)
    for path in ("/", "/machine/w1"):
        assert "/switch" not in browser.get(path).text
    assert browser.get(SWITCH).status_code == 403
    assert browser.post(SWITCH, data=form(browser)).status_code == 403
    assert browser.get("/switched/x").status_code == (403 if role is ConsoleRole.VIEWER else 404)
    assert browser.get("/live?switched=x").status_code == 404
    assert f"console: jan ({role}) was refused /switch" in room.told(Kind.DAEMON)


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")


def test_other_sites_and_other_sessions_switch_nothing(room: Room) -> None:
    room.console.errands = Errands(_refuse)
    browser, other = room.browser().sign_in("anna"), room.browser().sign_in("jan")
    for origin in ("https://evil.example", "null", ""):
        assert browser.post(SWITCH, data=form(browser), headers={"Origin": origin}).status_code == 403
    for data in ({}, {"count": "1"}, form(other)):
        assert browser.post(SWITCH, data=data).status_code == 403
    # A browser's address bar, a link or a picture is a GET: it only asks.
    assert browser.get(SWITCH).status_code == 200
    assert room.browser().post(SWITCH, data=form(browser)).status_code == 303, "to the sign-in"
    for count in ("", "2", "x"):
        assert browser.post(SWITCH, data=form(browser, count)).status_code == 409
    assert not any("power" in line for line in room.told(Kind.DAEMON))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "action=off",
        "action=off&machine=none",
        "action=off&machine=--all",
        "action=off&machine=w1;reboot",
        "action=rm&machine=w1",
        "action=off&row=9",
        "action=off&all=yes",
    ],
)
def test_what_is_no_order(room: Room, query: str) -> None:
    browser = room.browser().sign_in()
    assert browser.get(f"/switch?{query}").status_code == 400
    assert browser.post(f"/switch?{query}", data=form(browser)).status_code == 400
    assert browser.get("/switched/none").status_code == 404
