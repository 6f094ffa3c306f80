"""Waiting for something with a deadline: the one place that reads a clock and sleeps for it.

A loop that waits has a condition of its own and often a reason to stop early, so a deadline gives it one step, not a
loop around callbacks::

    deadline = Deadline(30)
    while not answers():
        if not deadline.pause(0.1):
            raise TimedOut("no answer after 30 s")

Where all that is wanted is the answer, ``until`` is that loop. Clock and sleep are handed in, so a test needs no patch.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """A moment so many seconds after now, by a clock that never jumps (CLOCK_MONOTONIC); None: never."""

    def __init__(
        self,
        seconds: float | None = None,
        *,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.now = now or time.monotonic
        self.sleep = sleep or time.sleep
        self.start(seconds)

    def start(self, seconds: float | None) -> None:
        """Put the deadline so many seconds after now; None: to the end of time."""
        self.end = math.inf if seconds is None else self.now() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline; not below 0."""
        return max(0.0, self.end - self.now())

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0

    def pause(self, seconds: float) -> bool:
        """Sleep before the next attempt, no longer than what is left; False at once if the deadline has passed.

        So the last attempt happens at the deadline itself, and there is always one, however busy the host is.
        """
        if not (left := self.left):
            return False
        self.sleep(min(seconds, left))
        return True

    async def pause_async(self, seconds: float) -> bool:
        """``pause`` for a coroutine: others run meanwhile."""
        if not (left := self.left):
            return False
        await asyncio.sleep(min(seconds, left))
        return True


def until(ask: Callable[[], T], deadline: Deadline, *, every: float) -> T:
    """Ask every so many seconds until the answer is true, or the deadline has passed; returns the last answer."""
    while not (answer := ask()) and deadline.pause(every):
        pass
    return answer
