"""The class registry's garbage is collected while it runs, in a moment when nobody pushes.

docker-registry's own collection removes what no image needs at its beginning: a layer that comes meanwhile, and whose
image is not there yet, would be lost. So it waits for a moment of quiet, and whoever would push in the midst of it
waits for its end. Pulls go on: what they read is needed, or open.

The registry keeps nothing in memory of what it has (``plan.daemons.registry``). It would take layers for there that the
collection has removed, and tell a client that it need not send them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from nodisk.server import class_registry_disk

LOOK = 15.0
"""Seconds between two looks whether it is time."""
QUIET = 120.0
"""Seconds since the last change before a collection; a push has pauses of some seconds between its layers."""
YOUNG = 3600.0
"""Seconds for which an image that has no tag is kept: a client may push the parts of one, and name it when all are
there."""
PATIENCE = 30.0
"""Seconds for which a push waits for the end of a collection, which takes tenths of a second."""


class Changes:
    """When somebody may change the registry, and when somebody did; belongs to one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = -math.inf
        self._collected = -math.inf
        self._free = asyncio.Event()
        self._free.set()

    async def begin(self) -> bool:
        """Called right before a change, which it notes; waits for a collection to end. False: that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._free.is_set():
                    await self._free.wait()
        except TimeoutError:
            return False
        self.note()
        return True

    def note(self) -> None:
        """Something was changed, or is about to be."""
        self._changed = self._clock()

    def due(self) -> bool:
        """Whether it is quiet, and there may be garbage: after a change, and once more when no image of it is young."""
        times = (self._changed + QUIET, self._changed + YOUNG)
        return any(self._collected < time <= self._clock() for time in times)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A collection: nobody begins a change in the block. An error makes it due again."""
        began = self._clock()
        self._free.clear()
        try:
            yield
            self._collected = began
        finally:
            self._free.set()


async def keep(changes: Changes, root: Path, collect: Callable[[], Awaitable[None]]) -> None:
    """Collect whenever that is due, for ever; not while an upload goes on that began long ago."""
    while True:
        await asyncio.sleep(LOOK)
        if changes.due() and not await asyncio.to_thread(class_registry_disk.uploading, root, QUIET) and changes.due():
            with changes.held():
                await collect()
