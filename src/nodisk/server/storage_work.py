"""Students' storage across versions of lab.yaml: only what is another for the NFS server interrupts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from nodisk.plan import daemons_ganesha
from nodisk.server import background
from nodisk.server.supervisor import Supervisor
from nodisk.server.volume_keeper import Keeper
from nodisk.spec.model import Lab
from nodisk.state import LabState


def means(lab: Lab) -> str | None:
    """What of lab.yaml the NFS server sees: its address, and who may ask. None: a lab without storage. Pure."""
    nowhere = Path("/")
    return daemons_ganesha.ganesha(lab, (), root=nowhere, recovery=nowhere) if lab.has_cluster else None


class StorageWork:
    """Keeps students' storage from ``take`` until ``close``."""

    def __init__(self, state: LabState, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._supervisor = Supervisor(state.log, say)
        self._means: str | None = None
        self._keeper: Keeper | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self, lab: Lab) -> None:
        """Serve this version of the lab; what runs goes on untouched if it sees no difference."""
        wanted = means(lab)
        if wanted == self._means:
            return
        await self.close()
        if wanted is not None:
            self._keeper = Keeper(lab, self._state, self._supervisor, self._say)
            work = background.keep("students' storage", self._keeper.run, self._say)
            self._task = asyncio.create_task(work, name="students' storage")
        self._means = wanted

    async def close(self) -> None:
        """Stop the NFS server, and give back what storage holds."""
        self._means = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._supervisor.stop()
        if self._keeper is not None:
            await self._keeper.close()
        self._task = self._keeper = None
