"""The one way to do many things at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 8
"""Half of the connections that an API client keeps open."""


def in_parallel(function: Callable[[T], R], items: Iterable[T], *, workers: int = WORKERS) -> list[R | Exception]:
    """Call ``function`` for each item, several at once; return its results, or the exceptions it raised, in order.

    Anything that isn't an Exception (Ctrl-C) ends everything at once: calls that have not begun don't begin.
    """

    def attempt(item: T) -> R | Exception:
        try:
            return function(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="nodisk") as pool:
        try:
            return list(pool.map(attempt, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def all_or_raise(results: Iterable[R | Exception]) -> list[R]:
    """The results of ``in_parallel`` if none failed; otherwise raises the first failure."""
    good: list[R] = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        good.append(result)
    return good
