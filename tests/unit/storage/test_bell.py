"""The bell: a ring is heard, also one of before anybody listened to the event; without a server it costs nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nodisk.state import LabState, State
from nodisk.storage import bell, volumes


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    found = State(tmp_path).lab("room")
    found.run.mkdir(parents=True)
    return found


def test_a_change_of_the_records_rings(state: LabState) -> None:
    async def session() -> None:
        woken = asyncio.Event()
        with bell.heard(state, woken.set):
            made = volumes.ensure(state, "algebra", {"ann": "algebra-ann"}, 32 * volumes.MIB)
            await asyncio.wait_for(woken.wait(), 10)
            woken.clear()
            volumes.release(state, made.values(), keep=True)
            await asyncio.wait_for(woken.wait(), 10)

    asyncio.run(session())


def test_more_rings_than_the_bell_holds_hold_nobody_up(state: LabState) -> None:
    async def session() -> None:
        woken = asyncio.Event()
        with bell.heard(state, woken.set):
            for _ in range(70_000):  # a FIFO holds 65,536 bytes
                bell.ring(state)
            await asyncio.wait_for(woken.wait(), 10)

    asyncio.run(session())


def test_without_a_server_a_ring_does_nothing(state: LabState) -> None:
    bell.ring(state)
    assert list(state.run.iterdir()) == []


def test_what_a_killed_server_left_is_replaced(state: LabState) -> None:
    async def session() -> None:
        woken = asyncio.Event()
        (state.run / bell.NAME).write_text("")
        with bell.heard(state, woken.set):
            bell.ring(state)
            await asyncio.wait_for(woken.wait(), 10)

    asyncio.run(session())
    assert list(state.run.iterdir()) == []
