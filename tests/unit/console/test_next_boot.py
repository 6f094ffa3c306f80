"""Choosing a machine's next boot by a page or a program: which command it is, who may, and that it is done."""

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
ASK = "/machine/w1/next-boot?entry=disk&action=once"


@pytest.mark.parametrize("action", BootAction)
def test_each_is_a_command_that_there_is(action: BootAction) -> None:
    found = boot_orders.order(LAB, "w1", action, "disk")
    assert found is not None
    assert shlex.split(found.line) == ["nodisk", *found.words]
    command = nodisk.get_command(None, "next-boot")  # type: ignore[arg-type]
    assert command is not None
    given = command.make_context("next-boot", list(found.words[1:])).params
    assert given["name"] == "w1"
    assert given["entry"] == (None if action is BootAction.CLEAR else "disk")
    assert (given["once"], given["clear"]) == (action is BootAction.ONCE, action is BootAction.CLEAR)
    assert found.came(0, "", "") == (Came("w1", Outcome.CONFIRMED, found.entry),)
    assert found.came(3, "", "error: no\n") == (Came("w1", Outcome.UNKNOWN, "no"),)


@given(
    st.text() | st.sampled_from(["w1", "cp1"]),
    st.text() | st.sampled_from(list(BootAction)),
    st.text() | st.sampled_from(["lab", "disk", "rescue", "shell", "--clear"]),
)
def test_whatever_is_asked_no_other_word_reaches_the_command(machine: str, action: str, entry: str) -> None:
    found = boot_orders.order(LAB, machine, action, entry)
    if found is not None:
        assert set(found.words) <= {"next-boot", "w1", "cp1", "lab", "disk", "--once", "--clear"}


def test_it_asks_first_and_is_done(room: Room) -> None:
    """By the command itself, which the machine's page then shows."""
    browser = room.browser().sign_in()
    assert 'value="clear"' not in browser.get("/machine/w1").text
    asked = html.unescape(browser.get(ASK).text)
    assert "nodisk next-boot w1 disk --once" in asked
    assert "Nothing is switched now." in asked
    where = re.search(r'action="(/machine/[^"]*)"', asked)
    assert where is not None
    assert room.database.next_boots.all() == {}
    _done(browser, where[1])
    assert room.database.next_boots.all()[W1].entry == "disk"
    page = room.browser(cookies=browser.cookies).get("/machine/w1").text
    assert "disk, once" in page
    _done(browser, "/machine/w1/next-boot?action=clear&entry=disk")
    assert room.database.next_boots.all() == {}


def _done(browser: Browser, address: str) -> None:
    async def do() -> None:
        form = {"token": security.form_token(browser.token), "count": "1"}
        answer = await browser.send("POST", address, data=form)
        place = answer.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        assert "confirmed: <strong>1</strong>" in (await browser.send("GET", place)).text

    asyncio.run(do())


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators_choose(room: Room, role: ConsoleRole) -> None:
    room.console.errands = Errands(_refuse)
    browser = room.browser().sign_in("jan", role)
    assert "next-boot" not in browser.get("/machine/w1").text
    assert browser.get(ASK).status_code == 403
    assert browser.post(ASK, data={"token": security.form_token(browser.token), "count": "1"}).status_code == 403


@pytest.mark.parametrize("address", ["entry=shell&action=once", "entry=disk", "entry=disk&action=rm", "action=once"])
def test_what_is_no_order(room: Room, address: str) -> None:
    room.console.errands = Errands(_refuse)
    browser = room.browser().sign_in()
    assert browser.get(f"/machine/w1/next-boot?{address}").status_code == 400
    assert browser.get("/machine/w9/next-boot?entry=disk&action=once").status_code == 400
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
