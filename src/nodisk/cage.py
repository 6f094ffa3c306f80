"""Children that leave nothing behind: when one is killed, or this process dies, all that it has started ends.

A child runs in a process-id namespace of its own, whose first process dies with this one (also by ``kill -9``); the
kernel then ends all that is left in the namespace, whatever it forked and whichever user it runs as. So no orphan holds
a port against the next start of a daemon, or a mount in a tree that is being built. ::

    nodisk
    └── setpriv --pdeathsig KILL  unshare --pid --fork --kill-child       (waits)
        └── sh (looks, see GUARD)  unshare --fork                         (process 1 of the namespace)
            └── nginx, etcd, mmdebstrap …                                 (and its own children)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from nodisk import run

GUARD = """\
read -r _ _ _ parent _ session _ </proc/self/stat && [ "$parent" = "$session" ] &&
read -r _ _ _ nodisk _ <"/proc/$parent/stat" && [ "$nodisk" = "$0" ] && exec unshare --fork "$@"
"""
"""Whether all above are still there, asked when all of them have been told to die with their parent.

A parent that died before its child could say so is missed otherwise, and the program would outlive it. The outermost
process leads a session of its own (``run.start_async``); ``$0`` is the process id of nodisk.
"""


def words(*options: str) -> tuple[str, ...]:
    """What stands before a program's own command line; ``options``: more of unshare(1), such as ``--mount``."""
    outside = run.tied(["unshare", "--pid", "--fork", "--kill-child=KILL"])
    return (*map(str, outside), "sh", "-c", GUARD, str(os.getpid()), *options, "--")


async def start(argv: Sequence[str | Path], *options: str) -> asyncio.subprocess.Process:
    """Start a program in a cage (as ``run.start_async`` does); a cancellation that comes meanwhile ends it.

    asyncio itself may wait for ever for a process whose start was cancelled half-way, because its pipes were never
    connected. So the start is always finished first.
    """
    starting = asyncio.ensure_future(run.start_async([*words(*options), *argv]))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        kill(process)
        await process.wait()
        raise


def signal_program(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a caged program itself, if it still runs. SIGHUP to what it is caged in would end it."""
    pid = process.pid
    with contextlib.suppress(OSError, ValueError):
        for _ in range(2):  # the first process of the namespace, and its only child
            (pid,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        os.kill(pid, number)


def kill(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a caged program; SIGKILL ends all that it has started.

    Not to the outermost process alone: where that is an ``unshare`` of a moment ago, its child may not have asked yet
    to die with it, and lives on. Then asyncio, which waits until nobody holds the output's pipe, would wait for ever. A
    signal to a process group reaches every member, also one that is just being made.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
