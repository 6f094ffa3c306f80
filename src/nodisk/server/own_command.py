"""A command of nodisk, run by the server as a process of its own.

So the server does exactly what the command does, whatever that comes to be; it can be ended at any moment, and then
tidies up as on Ctrl-C; and a button that hangs holds up neither the server nor its end. It is not caged: the QEMU
machines of a virtual lab outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk import run

STARTS_WITHIN = 20.0
"""Seconds for a command to be on its way."""
ENDS_WITHIN = 20.0
"""Seconds for a command to tidy up once it is told to end."""
_KEPT = 1 << 20
"""Bytes of its output that are kept, and of its errors."""
_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    """Its exit status (docs/reference/exit-codes.md); below 0: the signal that ended it."""
    output: str
    """The end of its standard output."""
    errors: str
    """The end of its standard error: what it did, and its error."""


async def finish(words: Sequence[str], *, lab: Path, state: Path, sent: bytes = b"") -> Ended:
    """Run a command on the lab of this lab.yaml and state directory to its end; a cancellation ends it first.

    ``sent``: what it reads from its standard input, where it can't be seen among the host's processes.
    """
    argv = [sys.executable, "-m", "nodisk", *words, "--lab", str(lab), "--state", str(state)]
    starting = asyncio.ensure_future(run.start_async(argv, apart=True, sends=bool(sent)))
    try:
        # asyncio may wait for ever for a process whose start was cancelled half-way.
        process = await asyncio.shield(starting)
        return await _ended(process, sent)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


def detach(words: Sequence[str], lab: Path, state: Path, log: Path) -> None:
    """Begin a command that outlives this server; ``log`` has its output, and none of an earlier one.

    Raises ToolMissing without ``setsid``.
    """
    log.write_bytes(b"")  # in place: one that was begun a moment before goes on writing into it
    argv = [sys.executable, "-m", "nodisk", *words, "--lab", str(lab), "--state", str(state)]
    # By a process that ends at once: nobody here would wait for the command's end.
    with run.start(["setsid", "--fork", *argv], log_file=log) as process:
        process.wait(STARTS_WITHIN)


async def _ended(process: asyncio.subprocess.Process, sent: bytes = b"") -> Ended:
    if process.stdout is None or process.stderr is None:
        raise AssertionError("started without pipes")
    output, errors, _ = await asyncio.gather(_tail(process.stdout), _tail(process.stderr), _send(process, sent))
    return Ended(await process.wait(), output, errors)


async def _send(process: asyncio.subprocess.Process, sent: bytes) -> None:
    if process.stdin is None or process.stdin.is_closing():
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all
        process.stdin.write(sent)
        await process.stdin.drain()
    process.stdin.close()


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(_CHUNK):
        kept = (kept + chunk)[-_KEPT:]
    return kept.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, on which a command tidies up and exits; then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                # Its output is read on: it must not wait for a full pipe.
                await _ended(process)
