"""Background tasks of the server: a task that fails is reported and restarted, never lost silently."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from nodisk.errors import describe

log = logging.getLogger("nodisk.server")

PAUSES = (0.5, 2, 5, 15, 30, 60)
"""Seconds before each restart of a task that keeps failing."""
STEADY = 120.0
"""Seconds after which a task counts as stable, and its next failure starts again with the shortest pause."""


async def keep(
    what: str, work: Callable[[], Awaitable[None]], say: Callable[[str], None], *, pauses: tuple[float, ...] = PAUSES
) -> None:
    """Run ``work`` until it returns or this is cancelled; an unchanged failure is reported once."""
    failures, last = 0, ""
    while True:
        began = time.monotonic()
        try:
            return await work()
        except Exception as error:
            if time.monotonic() - began >= STEADY:
                failures, last = 0, ""
            words = f"{what} failed and will be retried: {describe(error)}"
            log.debug("%s", words, exc_info=True)
            if words != last:
                with contextlib.suppress(Exception):  # it goes on, also if nobody can be told
                    say(words)
            last = words
            pause = pauses[min(failures, len(pauses) - 1)]
            failures += 1
        await asyncio.sleep(pause)
