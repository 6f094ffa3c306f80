"""The timetable's hand: ``nodisk room on`` and ``off``, run as a process of its own.

So the timetable does exactly what the command does, whatever that comes to be; it can be ended at any moment, and then
disarms as on Ctrl-C; and a button that hangs holds up neither the server nor its end. It is not caged: the QEMU
machines of a virtual lab outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from nodisk import run
from nodisk.errors import Busy, EnvironmentProblem
from nodisk.records.turns import Due
from nodisk.server.timetable import Act, Outcome, Result
from nodisk.spec.timetable import Turn

log = logging.getLogger("nodisk.server")

ARMED = (60.0, 1800.0)
"""Seconds for which the room is waited for, at least and at most: no longer than the lesson goes on."""
ENDS_WITHIN = 20.0
"""Seconds for the command to tidy up once it is told to end."""
_KEPT = 8192
"""Bytes of its output that are kept."""
_SAID = 400
"""Characters of its error that are passed on."""


def arguments(due: Due, now: datetime) -> list[str]:
    """The command's own words: ``room on --by-timetable --for 1800s``."""
    words = ["room", str(due.turn), "--by-timetable"]
    if due.turn is Turn.ON and due.until is not None:
        least, most = ARMED
        words += ["--for", f"{min(most, max(least, (due.until - now).total_seconds())):.0f}s"]
    return words


def room_switch(lab: Path, state: Path) -> Act:
    """How the room of this lab.yaml is switched."""

    async def act(due: Due) -> Result:
        words = [*arguments(due, datetime.now(UTC)), "--lab", str(lab), "--state", str(state)]
        status, output = await _finish([sys.executable, "-m", "nodisk", *words])
        log.info("nodisk room %s ended with status %d:\n%s", due.turn, status, output)
        return result(status, output)

    return act


def result(status: int, output: str) -> Result:
    """What an exit status (docs/reference/exit-codes.md) and the last words mean."""
    if status == 0:
        return Result(Outcome.DONE)
    _, found, rest = output.rpartition("error: ")
    said = re.sub(r"\s+", " ", rest.partition("hint: ")[0] if found else "").strip() or f"it ended with status {status}"
    # Machines that don't come, or whose answer nobody knows, are no better a minute later.
    hopeful = status in (EnvironmentProblem.exit_code, Busy.exit_code) or status < 0
    return Result(Outcome.FAILED if hopeful else Outcome.PARTLY, said[:_SAID])


async def _finish(argv: list[str]) -> tuple[int, str]:
    """Run a program to its end; a cancellation ends it first. Returns its status and the end of its output."""
    starting = asyncio.ensure_future(run.start_async(argv))
    try:
        # asyncio may wait for ever for a process whose start was cancelled half-way.
        process = await asyncio.shield(starting)
        return await _output(process)
    except asyncio.CancelledError:
        await _end(await starting)
        raise


async def _output(process: asyncio.subprocess.Process) -> tuple[int, str]:
    kept = b""
    if process.stdout is None:
        raise AssertionError("started without a pipe")
    while chunk := await process.stdout.read(_KEPT):
        kept = (kept + chunk)[-_KEPT:]
    return await process.wait(), kept.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, on which the command disarms and exits; then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                # Its output is read on: it must not wait for a full pipe.
                await _output(process)
