"""Students' storage across versions of lab.yaml: the NFS server goes on, but where its own address is another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address

from nodisk.server import background
from nodisk.server.supervisor import Supervisor
from nodisk.server.volume_keeper import Keeper
from nodisk.spec.model import Lab
from nodisk.state import LabState


class StorageWork:
    """Keeps students' storage from ``take`` until ``close``."""

    def __init__(self, state: LabState, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._supervisor = Supervisor(state.log, say)
        self._address: IPv4Address | None = None
        """None: the lab has no cluster, and so no storage."""
        self._keeper: Keeper | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self, lab: Lab) -> None:
        """Serve this version of the lab."""
        address = lab.network.server if lab.has_cluster else None
        if self._keeper is not None and address == self._address:
            self._keeper.take(lab)
            return
        await self.close()
        self._address = address
        if address is not None:
            self._keeper = Keeper(lab, self._state, self._supervisor, self._say)
            work = background.keep("students' storage", self._keeper.run, self._say)
            self._task = asyncio.create_task(work, name="students' storage")

    async def close(self) -> None:
        """Stop the NFS server, and give back what storage holds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._supervisor.stop()
        if self._keeper is not None:
            await self._keeper.close()
        self._task = self._keeper = None
