"""What the server does beside serving: a task that fails is said and started again, and never lost unseen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from nodisk.errors import describe

log = logging.getLogger("nodisk.server")

PAUSES = (0.5, 2, 5, 15, 30, 60)
"""Seconds before each further start of a task that keeps failing."""
STEADY = 120.0
"""Seconds after which a task counts as steady, and its next failure starts the pauses anew."""


async def keep(
    what: str, work: Callable[[], Awaitable[None]], say: Callable[[str], None], *, pauses: tuple[float, ...] = PAUSES
) -> None:
    """Do ``work`` until it returns or this is cancelled; a failure that stays the same is said once."""
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
