"""Waiting in tests: until something is so, and no longer than any host may take for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nodisk import waiting
from nodisk.waiting import Deadline

T = TypeVar("T")

LONG = 120.0
"""Seconds. A test that waits so long fails; what it waits for takes tenths, or a few seconds on a busy host."""
EVERY = 0.05


def _nothing() -> str:
    return "it did not come true in time"


def until(
    ask: Callable[[], T], *, seconds: float = LONG, every: float = EVERY, why: Callable[[], object] = _nothing
) -> T:
    """The first true answer; fails with what ``why`` returns if there is none in time."""
    answer = waiting.until(ask, Deadline(seconds), every=every)
    assert answer, why()
    return answer


async def until_async(ask: Callable[[], T], *, seconds: float = LONG, every: float = 0.01) -> T:
    """``until`` in an event loop, whose other tasks go on."""
    deadline = Deadline(seconds)
    while not (answer := ask()):
        assert await deadline.pause_async(every), _nothing()
    return answer
