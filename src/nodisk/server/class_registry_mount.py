"""The class registry's file system, mounted for as long as a lab is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nodisk.errors import NodiskError, describe
from nodisk.server.class_registry_disk import Fullness
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.storage import class_registry


@asynccontextmanager
async def mounted(lab: Lab, state: LabState, say: Callable[[str], None]) -> AsyncIterator[Fullness | None]:
    """Mount it; None: lab.yaml has no registry.

    Whatever goes wrong keeps no room from booting: ``Fullness.trouble`` tells it, and nothing may be put into the
    folder then, which is on the server's own disk.
    """
    limits = lab.class_registry if lab.has_cluster else None
    if limits is None:
        yield None
        return
    trouble, problem = "", ""
    try:
        room = await asyncio.to_thread(class_registry.mount, state, limits.size)
        limits = limits.model_copy(update={"size": room.outcome})
        problem = room.problem
    except (NodiskError, OSError) as error:
        problem = describe(error)
        trouble = "the registry is out of order: ask your teacher"
    if problem:
        say(f"class registry: {problem}")
    try:
        yield Fullness(limits, state.class_registry, trouble)
    finally:
        if not trouble and (problem := await asyncio.to_thread(class_registry.unmount, state)):
            say(f"class registry: {problem}")
