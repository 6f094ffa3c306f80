"""Another version of lab.yaml for a console whose pages are open."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.support.waits import until_async
from tests.unit.console.consoles import HOST, ORIGIN, Room

from nodisk.console.common import Console
from nodisk.context import LabContext
from nodisk.spec.load import load

MORE = "  - {name: w2, mac: 52:54:00:00:00:03, address: 10.77.0.13}\n"


def taken(console: Console, old: str, new: str) -> LabContext:
    """The console's lab.yaml with something changed."""
    file = console.context.file
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return replace(console.context, lab=load(file))


def test_pages_show_the_room_as_it_is_now(room: Room) -> None:
    browser = room.browser().sign_in()
    assert browser.get("/machine/w2").status_code == 404
    room.console.take(taken(room.console, "machines:\n", f"machines:\n{MORE}"))
    assert browser.get("/machine/w2").status_code == 200
    assert browser.get("/machine/w1").status_code == 200


def test_a_page_that_is_live_gets_the_new_machine(room: Room) -> None:
    """By the stream that was open before."""
    browser = room.browser().sign_in()

    async def watch() -> str:
        more = taken(room.console, "machines:\n", f"machines:\n{MORE}")

        async def change() -> None:
            snapshot = room.console.snapshot
            await until_async(lambda: snapshot.number > 0)
            room.console.take(more)
            seen = snapshot.number
            await until_async(lambda: snapshot.number > seen + 2)
            room.console.stopping.set()

        changing = asyncio.create_task(change())
        shown = (await browser.send("GET", "/live")).text
        await changing
        return shown

    first, *more = asyncio.run(watch()).split("event: part\n")[1:]
    assert "w1" in first
    assert "w2" not in first
    assert "w2" in more[-1]


def test_the_server_has_another_address(room: Room) -> None:
    browser = room.browser()
    assert browser.get("/sign-in").status_code == 200
    room.console.take(taken(room.console, "server: 10.77.0.1}", "server: 10.77.0.2}"))
    assert browser.get("/sign-in").status_code == 400
    assert browser.get("/sign-in", headers={"Host": HOST.replace("0.1:", "0.2:")}).status_code == 200
    assert ORIGIN.endswith(HOST)
