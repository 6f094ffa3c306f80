"""A check's time limit, and what extends it."""

from __future__ import annotations

from collections.abc import Callable

from nodisk.errors import TimedOut
from nodisk.waiting import Deadline

SLOW = 1.5
"""From this pace on a cluster counts as slow: most likely it shares processors with the program that checks it."""
CROWDED = 2.0
"""On a slow cluster, a check that runs beside others gets its limit times this: the pace was measured while idle."""
GENTLE, LONGEST_PAUSE = 3.0, 5.0
"""Between two attempts there are so many times the seconds that the last one took, but no more than that."""


class Clock(Deadline):
    """The time limit of the check that runs. What a check waits for itself asks it.

    The classes' own code (a temporary class, the self-test) and the API client have limits of their own; a check that
    calls them may end later by that much.
    """

    def until(self, attempt: Callable[[], str | None], *, every: float = 0.5, keep: float = 0.0) -> None:
        """Retry until ``attempt`` returns None; raises TimedOut with its complaint ``keep`` s before the limit.

        An attempt that took long is followed by a longer pause: a cluster that answers slowly isn't kept busy by the
        question whether it is done.
        """
        while True:
            began = self.now()
            complaint = attempt()
            if complaint is None:
                return
            left = self.left - keep
            if left <= every:
                raise TimedOut(complaint)
            gentle = min(GENTLE * (self.now() - began), LONGEST_PAUSE)
            self.pause(max(every, min(gentle, left - every)))
