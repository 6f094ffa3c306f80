"""What a live page is told while things happen: its events, and waiting for what the server has to do first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.support.waits import LONG
from tests.unit.console.consoles import Browser, Room

PATIENCE = LONG
Step = Callable[[], object]


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    data: str

    @property
    def element(self) -> str:
        """Of a piece: the element's id."""
        return self.data.partition("\n")[0]


def events(text: str) -> list[Event]:
    """Those of a stream, without the lines that only keep it open."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        if lines:
            (name,) = (value for field, _, value in lines if field == "event")
            found.append(Event(name, "\n".join(value for field, _, value in lines if field == "data")))
    return found


class EndsAfter(asyncio.Event):
    """The server's end, once it has been looked for so often: a page looks before each time that it is told news."""

    def __init__(self, looks: int | None = None) -> None:
        """None: not before ``looks`` is given."""
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        if self.looks is not None:
            self.looks -= 1
            if self.looks < 0:
                self.set()
        return super().is_set()


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.005)


def told(room: Room, browser: Browser, path: str, looked: Callable[[], int], steps: Sequence[Step]) -> list[Event]:
    """What a page was told while one step after the other was done, until the server stops or the stream has ended.

    ``looked``: how often the server has begun to look; it looks twice between two steps.
    """

    async def go() -> str:
        room.console.stopping.clear()
        asking = asyncio.create_task(browser.send("GET", path))
        for step in steps:
            await _looked_twice(looked, asking)
            step()
        with suppress(TimeoutError):
            await _looked_twice(looked, asking)
        room.console.stopping.set()
        answer = await asyncio.wait_for(asking, PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.text

    return events(re.sub(r"\r\n?", "\n", asyncio.run(go())))


async def _looked_twice(looked: Callable[[], int], asking: asyncio.Task[object]) -> None:
    before = looked()
    await until(lambda: asking.done() or looked() >= before + 2)
