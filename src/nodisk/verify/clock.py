"""A check's time limit, and what extends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodisk.errors import TimedOut

SLOW = 1.5
"""From this pace on a cluster counts as slow: most likely it shares processors with the program that checks it."""
CROWDED = 2.0
"""On a slow cluster, a check that runs beside others gets its limit times this: the pace was measured while idle."""


@dataclass(slots=True)
class Clock:
    """The time limit of the running check. Everything that a check itself waits for uses it.

    The classes' own code (a temporary class, the self-test) and the API client have limits of their own; a check that
    calls them may end later by that much.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    end: float = field(default=float("inf"))

    def start(self, seconds: float) -> None:
        """Start the clock of a check that has this many seconds."""
        self.end = self.now() + seconds

    @property
    def left(self) -> float:
        """Seconds until the limit; not below 0."""
        return max(0.0, self.end - self.now())

    def until(self, attempt: Callable[[], str | None], *, every: float = 0.5, keep: float = 0.0) -> None:
        """Retry until ``attempt`` returns None; raises TimedOut with its complaint ``keep`` s before the limit."""
        while (complaint := attempt()) is not None:
            if self.left - keep <= every:
                raise TimedOut(complaint)
            self.sleep(every)
