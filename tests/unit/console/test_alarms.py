"""The line of alarms on top of every page: who sees it, and what it says."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.hostile import EVIL
from tests.unit.console.consoles import Room
from tests.unit.console.streams import EndsAfter

from nodisk.console import alarms
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind


@pytest.mark.parametrize("path", ["/", "/machine/w1", "/classes", "/reports", "/backups", "/unknown", "/activity"])
def test_administrators_see_it_on_every_page_and_nobody_else(room: Room, path: str) -> None:
    admin = room.browser().sign_in()
    assert "Alarms of the last 24 hours" not in admin.get(path).text
    room.database.record(Kind.ALARM, f"the disk is full {EVIL[0]}", source="serve")
    shown = admin.get(path).text
    assert "Alarms of the last 24 hours: 1" in shown
    assert "the disk is full &lt;" in shown
    assert EVIL[0] not in shown
    for role in (ConsoleRole.VIEWER, ConsoleRole.TEACHER):
        assert "the disk is full" not in room.browser().sign_in("jan", role).get(path).text


def test_the_room_s_page_has_it_live(room: Room) -> None:
    async def first(role: ConsoleRole) -> str:
        browser = room.browser()
        code = room.database.console.invite("somebody", role, seconds=60)
        await browser.send("POST", "/sign-in", data={"code": code})
        room.console.stopping = EndsAfter(1)
        return (await browser.send("GET", "/live")).text

    room.database.record(Kind.ALARM, "the disk is full", source="serve")
    assert "the disk is full" in asyncio.run(first(ConsoleRole.ADMIN))
    assert "the disk is full" not in asyncio.run(first(ConsoleRole.VIEWER))


def test_a_day_later_it_is_gone_and_many_are_counted_to_a_hundred(room: Room) -> None:
    for number in range(alarms.MOST + 1):
        room.database.record(Kind.ALARM, f"alarm {number}", source="serve")
    newest = room.database.events(kinds=(Kind.ALARM,), limit=1)[0]
    found = alarms.recent(room.database, newest.time)
    assert found == alarms.Alarms("99+", newest)
    assert alarms.recent(room.database, newest.time + alarms.DAY + 1) is None
