"""What all browsers share of a room: read by one thread at a time, whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from tests.unit.console.consoles import AWAY, Room

from nodisk.console.snapshot import Snapshot
from nodisk.waiting import Deadline, until


def test_a_page_that_is_closed_while_it_waits_lets_nobody_into_the_reading(room: Room) -> None:
    """Its task is cancelled, and the thread that reads for it goes on."""
    inside, most, go = 0, 0, threading.Event()

    def clock() -> float:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        go.wait(30)
        inside -= 1
        return time.time()

    async def watch() -> None:
        snapshot = Snapshot(room.console.context, ask=lambda _: AWAY, clock=clock)
        closed = asyncio.create_task(snapshot.status())
        await asyncio.to_thread(until, lambda: inside == 1, Deadline(30), every=0.01)
        closed.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closed
        another = asyncio.create_task(snapshot.status())
        await asyncio.to_thread(until, lambda: most > 1, Deadline(0.3), every=0.01)
        go.set()
        await another
        await snapshot.close()

    asyncio.run(watch())
    assert most == 1
