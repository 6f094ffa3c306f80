"""Choosing machines' next boot by a page or a program: which command it is, who may, and that it is done."""

from __future__ import annotations

import asyncio
import html
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import W1, Browser, Room
from tests.unit.console.test_api import program, valid
from tests.unit.spec.labs import lab

from nodisk.cli import nodisk
from nodisk.console import boot_orders, security
from nodisk.console.boot_orders import BootAction
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder, Came
from nodisk.machines.buttons.button import Outcome
from nodisk.records.console_access import ConsoleRole
from nodisk.server.own_command import Ended
from nodisk.spec.load import parse

LAB = parse(lab() + "menu: {entries: [{name: rescue, url: http://10.77.0.9/x, password: true}]}\n", file="x")
ASK = "/switch?machine=w1&entry=disk&action=once"


@pytest.mark.parametrize("action", BootAction)
@pytest.mark.parametrize("every", [False, True])
def test_each_is_a_command_that_there_is(action: BootAction, every: bool) -> None:
    found = boot_orders.order(LAB, action, ["w1"], "disk", every=every)
    assert found is not None
    names = ["cp1", "w1"] if every else ["w1"]
    assert list(found.targets) == names
    command = nodisk.get_command(None, "next-boot")  # type: ignore[arg-type]
    assert command is not None
    entry = [] if action is BootAction.CLEAR else ["disk"]
    for words, by_name in ((shlex.split(found.line)[1:], not every), (list(found.words), True)):
        given = command.make_context("next-boot", words[1:]).params
        assert (list(given["words"]), given["every"]) == ([*(names if by_name else []), *entry], not by_name)
        assert (given["once"], given["clear"]) == (action is BootAction.ONCE, action is BootAction.CLEAR)
    assert found.came(0, "", "") == tuple(Came(name, Outcome.CONFIRMED, found.entry) for name in names)
    assert found.came(3, "", "error: no\n") == tuple(Came(name, Outcome.UNKNOWN, "no") for name in names)


@given(
    st.text() | st.sampled_from(["w1", "cp1"]),
    st.text() | st.sampled_from(list(BootAction)),
    st.text() | st.sampled_from(["lab", "disk", "rescue", "shell", "--clear"]),
)
def test_whatever_is_asked_no_other_word_reaches_the_command(machine: str, action: str, entry: str) -> None:
    found = boot_orders.order(LAB, action, [machine], entry)
    if found is not None:
        assert set(found.words) <= {"next-boot", "w1", "cp1", "lab", "disk", "--once", "--clear"}


def test_it_asks_first_and_is_done(room: Room) -> None:
    """By the command itself, which the machine's page then shows."""
    browser = room.browser().sign_in()
    assert 'value="clear"' not in browser.get("/machine/w1").text
    asked = html.unescape(browser.get(ASK).text)
    assert "nodisk next-boot w1 disk --once" in asked
    assert "Nothing is switched now." in asked
    where = re.search(r'action="(/switch[^"]*)"', asked)
    assert where is not None
    assert room.database.next_boots.all() == {}
    _done(browser, where[1])
    assert room.database.next_boots.all()[W1].entry == "disk"
    page = room.browser(cookies=browser.cookies).get("/machine/w1").text
    assert "disk, once" in page
    _done(browser, "/switch?machine=w1&action=clear&entry=disk")
    assert room.database.next_boots.all() == {}


def test_for_all_at_once(room: Room) -> None:
    """The room's page leads to a page that asks for the entry, and that to the confirmation."""
    browser = room.browser().sign_in()
    assert '<option value="once">' in browser.get("/").text
    asked = html.unescape(browser.get("/switch?action=once&all=1").text)
    assert "Machines: 2" in asked
    assert '<input type="hidden" name="all" value="1">' in asked
    assert '<select id="entry" name="entry">' in asked
    shown = html.unescape(browser.get("/switch?action=once&all=1&entry=disk").text)
    assert "nodisk next-boot --all disk --once" in shown
    where = re.search(r'action="(/switch[^"]*)"', shown)
    assert where is not None
    _done(browser, where[1], 2)
    assert {wish.entry for wish in room.database.next_boots.all().values()} == {"disk"}
    assert len(room.database.next_boots.all()) == 2
    # Some are named, in this page too.
    asked = room.browser(cookies=browser.cookies).get("/switch?action=always&machine=w1").text
    assert '<input type="hidden" name="machine" value="w1">' in asked
    assert room.browser(cookies=browser.cookies).get("/switch?action=always&machine=w9").status_code == 400


def _done(browser: Browser, address: str, count: int = 1) -> None:
    async def do() -> None:
        form = {"token": security.form_token(browser.token), "count": str(count)}
        answer = await browser.send("POST", address, data=form)
        place = answer.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        assert f"confirmed: <strong>{count}</strong>" in (await browser.send("GET", place)).text

    asyncio.run(do())


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators_choose(room: Room, role: ConsoleRole) -> None:
    room.console.errands = Errands(_refuse)
    browser = room.browser().sign_in("jan", role)
    assert "/switch" not in browser.get("/machine/w1").text
    assert browser.get("/switch?action=once&all=1").status_code == 403
    assert browser.get(ASK).status_code == 403
    assert browser.post(ASK, data={"token": security.form_token(browser.token), "count": "1"}).status_code == 403


@pytest.mark.parametrize("address", ["entry=shell&action=once", "entry=disk", "entry=disk&action=rm"])
def test_what_is_no_order(room: Room, address: str) -> None:
    room.console.errands = Errands(_refuse)
    browser = room.browser().sign_in()
    assert browser.get(f"/switch?machine=w1&{address}").status_code == 400
    assert browser.get("/switch?machine=w9&entry=disk&action=once").status_code == 400
    assert browser.post(ASK, data={"count": "1", "token": "x"}).status_code == 403


def test_by_a_program(room: Room) -> None:
    headers, path = program(room), "/api/machines/{name}/next-boot"

    async def do(browser: Browser) -> None:
        body = {"action": "always", "entry": "disk"}
        begun = await browser.send("POST", path.format(name="w1"), headers=headers, json=body)
        order = valid(begun, path, 202, "post")
        assert order["command"] == "nodisk next-boot w1 disk"
        await asyncio.sleep(0)
        await room.console.errands.close()

    asyncio.run(do(room.browser()))
    for body in ({"action": "once"}, {"action": "once", "entry": "shell"}, {"entry": "disk"}):
        answer = room.browser().post(path.format(name="w1"), headers=headers, json=body)
        valid(answer, path, 400, "post")


async def _refuse(order: AnyOrder) -> Ended:
    raise AssertionError("nothing must be run")
