"""The class registry's file system, across versions of lab.yaml: only another size interrupts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from nodisk.errors import NodiskError, describe
from nodisk.server import class_registry_disk, seed
from nodisk.server.class_registry_disk import Fullness
from nodisk.spec.model import Lab
from nodisk.spec.model_class_registry import ClassRegistry
from nodisk.state import LabState
from nodisk.storage import class_registry


class Mounted:
    """Has it mounted from ``take`` until ``close``."""

    def __init__(self, state: LabState, say: Callable[[str], None]) -> None:
        self.fullness: Fullness | None = None
        """None: lab.yaml has no registry.

        Whatever goes wrong keeps no room from booting: ``Fullness.trouble`` tells it, and nothing may be put into the
        folder then, which is on the server's own disk.
        """
        self._state = state
        self._say = say
        self._limits: ClassRegistry | None = None
        self._lock = asyncio.Lock()

    @property
    def works(self) -> bool:
        """Whether docker-registry may run on it."""
        return self.fullness is not None and not self.fullness.trouble

    def suits(self, lab: Lab) -> bool:
        """Whether ``take`` would change nothing, so that docker-registry may go on."""
        return _limits(lab) == self._limits

    async def take(self, lab: Lab) -> None:
        """Mount what this version of the lab says. Where that is another one than now, docker-registry has stopped."""
        if self.suits(lab):
            return
        async with self._lock:
            await self._give_up()
            await self._mount(lab)

    async def close(self) -> None:
        """Unmount it; docker-registry has stopped."""
        async with self._lock:
            await self._give_up()

    async def collect(self, config: Path, *, young: float = 0.0) -> None:
        """Free the room of what no image needs; nobody pushes meanwhile. Whatever goes wrong is said.

        ``config``: docker-registry's; ``young``: as of ``class_registry_disk.tidy``.
        """
        async with self._lock:
            if not self.works:
                return
            try:  # whatever students put there keeps no room from booting
                await _to_its_end(asyncio.to_thread(class_registry_disk.tidy, self._state.class_registry, young))
                await seed.collect_garbage(self._state.class_registry, config, self._say)
            except Exception as error:
                self._say(f"class registry: it could not be tidied: {describe(error)}")

    async def _mount(self, lab: Lab) -> None:
        self._limits = limits = _limits(lab)
        if limits is None:
            return
        trouble, problem = "", ""
        try:
            room = await asyncio.to_thread(class_registry.mount, self._state, limits.size)
            limits = limits.model_copy(update={"size": room.outcome})
            problem = room.problem
        except (NodiskError, OSError) as error:
            problem = describe(error)
            trouble = "the registry is out of order: ask your teacher"
        if problem:
            self._say(f"class registry: {problem}")
        self.fullness = Fullness(limits, self._state.class_registry, trouble)

    async def _give_up(self) -> None:
        if self.works and (problem := await asyncio.to_thread(class_registry.unmount, self._state)):
            self._say(f"class registry: {problem}")
        self.fullness = self._limits = None


async def _to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """Wait for a thread also if this is cancelled: it would go on, on a file system that is being unmounted."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _limits(lab: Lab) -> ClassRegistry | None:
    return lab.class_registry if lab.has_cluster else None
