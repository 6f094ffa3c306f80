"""Waiting in tests: until something is so, and no longer than any host may take for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from nodisk import waiting
from nodisk.waiting import Deadline

T = TypeVar("T")

LONG = 120.0
"""Seconds. What takes longer hangs, also on a host with ten times as much to do as it has processors: what tests wait
for takes tenths, or a few seconds on a busy one."""
EVERY = 0.05
Why = str | Callable[[], object]
"""What a failure says: words, or what is asked for them then (a log, say, as it has become)."""
_NOTHING = "it did not come true in time"


def until(
    ask: Callable[[], T | None],
    *,
    seconds: float = LONG,
    every: float = EVERY,
    why: Why = _NOTHING,
    process: subprocess.Popen[Any] | None = None,
) -> T:
    """The first true answer; fails if there is none in time, or if ``process`` has ended and there is still none."""

    def look() -> T | None:
        if process is None or process.poll() is None:
            return ask()
        answer = ask()
        assert answer, f"{_end(process)}: {_words(why)}"
        return answer

    answer = waiting.until(look, Deadline(seconds), every=every)
    assert answer, _words(why)
    return answer


async def until_async(
    ask: Callable[[], T | None], *, seconds: float = LONG, every: float = 0.01, why: Why = _NOTHING
) -> T:
    """``until`` in an event loop, whose other tasks go on; ``every`` 0 lets each of them take a step."""
    deadline = Deadline(seconds)
    while not (answer := ask()):
        assert await deadline.pause_async(every), _words(why)
    return answer


def _words(why: Why) -> object:
    return why if isinstance(why, str) else why()


def _end(process: subprocess.Popen[Any]) -> str:
    """How a process ended, and what it said where the test has its pipes."""
    said = [one for one in process.communicate() if one]
    return f"{process.args!r} ended with {process.returncode} {said or ''}"
