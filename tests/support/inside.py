"""A thread in a network namespace: what it opens is there, while the rest of the process stays where it is."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


def enter(netns: str) -> None:
    """Move the calling thread into a namespace, for good: call it in a thread of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (Path("/run/netns") / netns).open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), netns)


def inside(netns: str, work: Callable[[], T]) -> T:
    """Do ``work`` in a namespace; a socket that it makes stays there, whoever uses it."""
    with ThreadPoolExecutor(1, initializer=enter, initargs=(netns,)) as pool:
        return pool.submit(work).result()
