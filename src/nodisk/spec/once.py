"""What is computed of a lab, once: a room of a thousand machines asks a thousand times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


def once(compute: Callable[[K], T]) -> Callable[[K], T]:
    """Keep the answer for what was asked about last. It is that very object (a lab is frozen), so nothing needs to be
    compared; callers must not change the answer.
    """
    last: list[tuple[K, T]] = []

    def answer(what: K) -> T:
        known = last[0] if last else None  # one object: another thread may replace it meanwhile
        if known is None or known[0] is not what:
            known = (what, compute(what))
            last[:] = [known]
        return known[1]

    answer.__doc__ = compute.__doc__
    return answer
