"""When the class registry's garbage is collected, and who waits for it."""

from __future__ import annotations

import asyncio
import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.server import class_registry_disk
from nodisk.server import class_registry_garbage as garbage
from nodisk.server.class_registry_garbage import Changes


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_once_when_it_is_quiet_and_once_when_nothing_is_young_any_more() -> None:
    clock = Clock()
    changes = Changes(clock=clock)
    assert not changes.due(), "nobody has changed anything"
    changes.note()
    clock.now += garbage.QUIET - 1
    assert not changes.due()
    changes.note()
    clock.now += garbage.QUIET - 1
    assert not changes.due(), "somebody pushes"
    clock.now += 1
    assert changes.due()
    with changes.held():
        pass
    clock.now += garbage.YOUNG - garbage.QUIET - 1
    assert not changes.due()
    clock.now += 1
    assert changes.due()
    with changes.held():
        pass
    clock.now += 1e6
    assert not changes.due()


def test_a_collection_that_is_broken_off_is_made_again() -> None:
    clock = Clock()
    changes = Changes(clock=clock)
    changes.note()
    clock.now += garbage.QUIET
    with pytest.raises(KeyboardInterrupt), changes.held():
        raise KeyboardInterrupt
    assert changes.due()
    assert asyncio.run(changes.begin())


@given(st.lists(st.tuples(st.sampled_from(["change", "look"]), st.integers(0, 2 * int(garbage.YOUNG))), max_size=40))
def test_no_collection_is_near_a_change_and_each_change_is_followed_by_one(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    changes = Changes(clock=clock)
    changed = collected = -math.inf
    for what, pause in steps:
        clock.now += pause
        due = changes.due()
        assert not due or garbage.QUIET <= clock.now - changed < math.inf
        if what == "change":
            changes.note()
            changed = clock.now
        elif due:
            with changes.held():
                collected = clock.now
    clock.now += garbage.QUIET
    assert changes.due() or collected >= changed


def test_who_would_push_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = Changes()

    async def scenario() -> None:
        with changes.held():
            waiting = asyncio.create_task(changes.begin())
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            assert not done
        assert await waiting
        monkeypatch.setattr(garbage, "PATIENCE", 0.01)
        with changes.held():
            assert not await changes.begin()
        assert await changes.begin()

    asyncio.run(scenario())


def test_it_waits_for_uploads_and_for_who_begins_while_it_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "LOOK", 0.001)
    times = itertools.count(step=10)
    changes, looks, collected = Changes(clock=lambda: next(times)), list[Path](), asyncio.Event()

    def uploading(root: Path, _: float) -> bool:
        looks.append(root)
        if len(looks) == 2:
            changes.note()
        return len(looks) == 1

    async def collect() -> None:
        collected.set()

    async def scenario() -> None:
        changes.note()
        keeping = asyncio.create_task(garbage.keep(changes, tmp_path, collect))
        await asyncio.wait_for(collected.wait(), 60)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    monkeypatch.setattr(class_registry_disk, "uploading", uploading)
    asyncio.run(scenario())
    assert looks == [tmp_path] * 3
