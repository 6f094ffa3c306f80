"""Cases that mostly wait, several at a time: they listen for seconds, or outlast somebody who never answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

MOST = 6
"""Cases that are under way together: more would make each other late on two processors."""


@contextmanager
def at_once(cases: Mapping[str, Callable[[], object]]) -> Iterator[Mapping[str, Future[object]]]:
    """Begin all cases and yield them by name; a test takes the result of its own, and with it that one's failure.

    Each has what it changes to itself: a folder, namespaces, ports.
    """
    with ThreadPoolExecutor(MOST) as pool:
        yield {name: pool.submit(case) for name, case in cases.items()}
