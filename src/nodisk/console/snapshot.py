"""The room as it is now, collected once for all browsers that look at it.

The records are read at most once a second, and the API is asked every few seconds, both in threads: neither ten
browsers nor an API that hangs can keep the server from answering machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from nodisk.context import LabContext
from nodisk.machines import asked, status
from nodisk.machines.asked import Asked
from nodisk.machines.history import History
from nodisk.machines.status import Status

FRESH = 1.0
"""Seconds for which what was read is good enough."""
ASK_EVERY = 5.0
"""The same of the API's answer."""


@dataclass(slots=True)
class Once:
    """Texts of one status: each is made for the first who asks, and is the same for all others who see the same.

    A room of a thousand machines takes 45 ms to be written down, in the one thread that also answers machines.
    """

    of: Status | None = None
    texts: dict[Hashable, str] = field(default_factory=dict)

    def get(self, status: Status, key: Hashable, make: Callable[[], str]) -> str:
        """The text of that status and ``key``, of which there are few."""
        if self.of is not status:
            self.of = status
            self.texts.clear()
        if key not in self.texts:
            self.texts[key] = make()
        return self.texts[key]


@dataclass(slots=True)
class Snapshot:
    """Shared by all requests; ``close`` it at the end."""

    context: LabContext
    ask: Callable[[LabContext], Asked] = asked.ask
    now: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    """The time by which machines are early or late, and events are recorded."""
    number: int = 0
    """Grows with each time that the records are read."""
    once: Once = field(default_factory=Once)
    _history: History = field(default_factory=History)
    _status: Status | None = None
    _at: float = 0.0
    _changes: int = 0
    _asked: Asked | None = None
    _asked_at: float = 0.0
    _asking: asyncio.Task[None] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    """Around the history: a page that is closed ends who waits for a reading, and not the thread that reads."""

    async def status(self) -> Status:
        """The room, at most FRESH seconds old; the API's part of it is older where the API is slow."""
        async with self._lock:
            if self._status is not None and self.now() - self._at < FRESH:
                return self._status
            if self._asking is None and (self._asked is None or self.now() - self._asked_at >= ASK_EVERY):
                self._asking = asyncio.create_task(self._ask())
            if self._asked is None and self._asking is not None:
                await asyncio.shield(self._asking)
            if self._asked is None:
                raise RuntimeError("the API was not asked")
            changes = self._changes
            self._status = await asyncio.to_thread(self._read, self._asked)
            # What was read while somebody changed it is shown once, and then read again.
            self._at = self.now() if changes == self._changes else float("-inf")
            self.number += 1
            return self._status

    def _read(self, answer: Asked) -> Status:
        with self._reading:
            return status.of_records(self.context, answer, now=self.clock, history=self._history)

    def take(self, context: LabContext) -> None:
        """Look at another version of lab.yaml from now on."""
        self.context = context
        self.changed()

    def changed(self) -> None:
        """Somebody has just changed the records by a page, and wants to see it."""
        self._changes += 1
        self._at = float("-inf")

    async def _ask(self) -> None:
        try:
            self._asked = await asyncio.to_thread(self.ask, self.context)
            self._asked_at = self.now()
        finally:
            self._asking = None

    async def close(self) -> None:
        """Wait for what was asked; it takes seconds at most."""
        if self._asking is not None:
            with contextlib.suppress(Exception):
                await self._asking
