"""Backups by a page or a program: which command it is, who may, and that nothing is done before it is confirmed."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.console.consoles import Browser, Room, room_in
from tests.unit.console.test_api import program
from tests.unit.spec.labs import TEN_LINES

from nodisk.cli import nodisk
from nodisk.console import care_orders, security
from nodisk.console.care_orders import CareAction
from nodisk.console.errands import Errands
from nodisk.console.orders import AnyOrder, Came
from nodisk.machines.buttons.button import Outcome
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.server.own_command import Ended
from nodisk.spec.load import parse

TEXT = f"{TEN_LINES}backup: {{target: backups}}\n"
LAB = parse(TEXT, file="lab.yaml")
MADE = "Backup 1a2b of room is in /srv: 10 objects, 3 files; 1.0 MB were added in 2 s.\n"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with room_in(tmp_path, TEXT) as made:
        yield made


@pytest.fixture
def ran(room: Room) -> list[AnyOrder]:
    """What the server runs; it is done at once."""
    found: list[AnyOrder] = []

    async def run(order: AnyOrder) -> Ended:
        found.append(order)
        return Ended(0, MADE, "packing\nIts password is in /x. Copy that file.\nwarning: /y is not in it\n")

    room.console.errands = Errands(run)
    return found


@pytest.mark.parametrize("action", CareAction)
def test_each_is_a_command_that_there_is(action: CareAction) -> None:
    found = care_orders.order(LAB, action)
    assert found is not None
    assert shlex.split(found.line) == ["nodisk", *found.words]
    group = nodisk.get_command(None, found.words[0])  # type: ignore[arg-type]
    command = group.get_command(None, found.words[1])  # type: ignore[union-attr]
    assert command.make_context(found.words[1], list(found.words[2:])).params["to"] is None
    said = found.came(0, MADE, "packing\nwarning: /y is not in it\n")
    assert said == (Came("room", Outcome.CONFIRMED, f"{MADE.strip()} warning: /y is not in it"),)
    assert found.came(5, "", "error: held\n") == (Came("room", Outcome.UNKNOWN, "held"),)


@given(st.text() | st.sampled_from(list(CareAction)))
def test_whatever_is_asked_no_other_word_reaches_the_command(action: str) -> None:
    found = care_orders.order(LAB, action)
    if found is not None:
        assert found.words in {("backup", "create"), ("backup", "verify")}
    assert care_orders.order(parse(TEN_LINES, file="lab.yaml"), action) is None


def begin(browser: Browser, action: str, **more: str) -> tuple[int, str]:
    form = {"token": security.form_token(browser.token), "count": "1", **more}

    async def do() -> tuple[int, str]:
        answer = await browser.send("POST", f"/backups/order?action={action}", data=form)
        if answer.status_code != 303:
            return answer.status_code, answer.text
        place = answer.headers["location"]
        await browser.send("GET", f"/live?switched={place.rpartition('/')[2]}")
        return 303, (await browser.send("GET", place)).text

    return asyncio.run(do())


def test_it_asks_first_and_says_what_came_of_it(room: Room, ran: list[AnyOrder]) -> None:
    browser = room.browser().sign_in()
    page = browser.get("/backups").text
    for action in CareAction:
        assert f'value="{action}"' in page
    asked = html.unescape(browser.get("/backups/order?action=backup").text)
    assert "nodisk backup create" in asked
    assert re.search(r'action="(/backups/[^"]*)"', asked)[1] == "/backups/order?action=backup"  # type: ignore[index]
    assert ran == []
    status, done = begin(browser, "backup")
    assert (status, [one.words for one in ran]) == (303, [("backup", "create")])
    for text in ("Backup 1a2b of room", "Its password is in /x.", "warning: /y", "Back to the backups"):
        assert text in done
    assert "packing" not in done
    assert "console: anna (admin): nodisk backup create" in room.told(Kind.DAEMON)


def test_what_is_no_order(room: Room, ran: list[AnyOrder], tmp_path: Path) -> None:
    browser = room.browser().sign_in()
    assert browser.get("/backups/order?action=restore").status_code == 400
    assert begin(browser, "prune")[0] == 400
    assert begin(browser, "backup", count="2")[0] == 409
    assert begin(browser, "backup", token="0" * 64)[0] == 403
    (tmp_path / "without").mkdir()
    with room_in(tmp_path / "without") as other:
        admin = other.browser().sign_in()
        assert "/backups/order" not in admin.get("/backups").text
        assert begin(admin, "backup")[0] == 400
    assert ran == []


@pytest.mark.parametrize("role", [ConsoleRole.VIEWER, ConsoleRole.TEACHER])
def test_only_administrators(room: Room, ran: list[AnyOrder], role: ConsoleRole) -> None:
    browser = room.browser().sign_in("jan", role)
    assert browser.get("/backups/order?action=backup").status_code == 403
    assert begin(browser, "backup")[0] == 403
    assert ran == []


def test_one_at_a_time(room: Room) -> None:
    async def for_ever(_: AnyOrder) -> Ended:
        await asyncio.Event().wait()
        raise AssertionError

    async def both() -> list[int]:
        room.console.errands = Errands(for_ever)
        browser = room.browser()
        code = room.database.console.invite("anna", ConsoleRole.ADMIN, seconds=60)
        await browser.send("POST", "/sign-in", data={"code": code})
        form = {"token": security.form_token(browser.token), "count": "1"}
        found = [
            (await browser.send("POST", f"/backups/order?action={action}", data=form)).status_code
            for action in CareAction
        ]
        await room.console.errands.close()
        return found

    assert asyncio.run(both()) == [303, 409]


def test_by_a_program(room: Room, ran: list[AnyOrder]) -> None:
    headers = program(room)
    answer = room.browser().post("/api/backups", headers=headers, content=json.dumps({"action": "verify"}))
    assert answer.status_code == 400
    answer = room.browser().post("/api/backups", headers=headers, content=json.dumps({"action": "prove"}))
    assert (answer.status_code, answer.json()["command"]) == (202, "nodisk backup verify")
