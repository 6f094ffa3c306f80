"""Ending a daemon that has only just been started: nothing of it may be left, and nobody may wait for ever."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tests.support.waits import until_async

from nodisk import cage
from nodisk.machines import processes
from nodisk.server.supervisor import Daemon, Supervisor

pytestmark = pytest.mark.interop
MARK = f"86400.{os.getpid()}"
"""What this run's ``sleep`` is told, so that it is found again, and no other run's."""


def left() -> list[int]:
    """What is still there."""
    return processes.find([MARK])


async def gone() -> None:
    await until_async(lambda: not left(), every=0.02, why=lambda: f"still there: {left()}")


def test_killed_at_any_moment_of_its_start() -> None:
    """``unshare`` has a child before that child has asked to die with it; alone it was left, holding the pipe."""

    async def many() -> None:
        for number in range(120):
            process = await cage.start(["sleep", MARK])
            await asyncio.sleep(random.random() * 0.012)  # noqa: S311 - no secret
            cage.kill(process)
            async with asyncio.timeout(120):
                assert await process.wait() == -9, number
        await gone()

    asyncio.run(many())


def test_a_start_that_is_cancelled_at_any_moment(tmp_path: Path) -> None:
    async def never() -> bool:
        await asyncio.sleep(0.001)
        return False

    async def many() -> None:
        for _ in range(25):
            supervisor = Supervisor(tmp_path, lambda _: None)
            daemons = [Daemon(f"d{number}", ("sleep", MARK), never) for number in range(3)]
            starting = asyncio.create_task(supervisor.start(daemons))
            await asyncio.sleep(random.random() * 0.03)  # noqa: S311 - no secret
            starting.cancel()
            async with asyncio.timeout(120):
                await asyncio.wait([starting])
            assert starting.cancelled()
            assert supervisor.pids() == {}
        await gone()

    asyncio.run(many())


def test_a_server_that_is_killed_amid_a_start_leaves_nothing() -> None:
    """``kill -9`` before a process asked to die with its parent: nobody would tell it any more, so it looks itself."""
    for _ in range(80):
        server = os.fork()
        if server == 0:  # the server: it starts a daemon, and is killed about then

            async def serve() -> None:
                await cage.start(["sleep", MARK])
                await asyncio.sleep(20)

            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            asyncio.run(serve())
            os._exit(0)
        time.sleep(0.005 + random.random() * 0.02)  # noqa: S311 - no secret
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    asyncio.run(gone())
