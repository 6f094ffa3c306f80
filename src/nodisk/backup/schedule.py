"""Backups by the clock: ``nodisk serve`` makes them, prunes, and raises an alarm while the last good one is old.

Each is a process of its own, ``nodisk backup create``: a server that is told to stop needn't wait for an upload, and
what it asks to end tidies up as at Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nodisk import run
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.records import backups
from nodisk.records.database import Database
from nodisk.records.events import Kind

EVERY = 60.0
RETRY = 600.0
"""Seconds until a backup that failed is tried again."""
ALARM = 24 * 3600.0
"""Seconds between two alarms about the same."""
GRACE = 3600.0
"""Seconds for which the first of all backups may take until its lack is an alarm."""
PATIENCE = 60.0
"""Seconds for which a backup that is told to end may tidy up."""


async def keep(context: LabContext, say: Callable[[str], None], *, every: float = EVERY, grace: float = GRACE) -> None:
    """Look every minute until cancelled; a failure that stays the same is said once.

    The alarm doesn't wait for the backup that runs: one that hangs is one of its reasons. Where there never was a good
    one, it comes once one has failed, or after ``grace`` seconds.
    """
    failed = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_make(context, say, every, failed))
            both.create_task(_watch(context, every, grace, failed))
    except* Exception as group:
        raise group.exceptions[0] from None


async def _make(context: LabContext, say: Callable[[str], None], every: float, failed: asyncio.Event) -> None:
    tried, said = -RETRY, ""
    while True:
        if time.monotonic() - tried >= RETRY:
            wrong = await _one(context, say)
            if wrong:
                tried = time.monotonic()
                failed.set()
                if wrong != said:
                    say(f"the scheduled backup failed and will be tried again: {wrong}")
            said = wrong
        await asyncio.sleep(every)


async def _watch(context: LabContext, every: float, grace: float, failed: asyncio.Event) -> None:
    began, alarmed = time.monotonic(), -ALARM
    while True:
        now = time.monotonic()
        first = not failed.is_set() and now - began < grace
        if now - alarmed >= ALARM and await asyncio.to_thread(_alarm, context, first):
            alarmed = now
        await asyncio.sleep(every)


async def _one(context: LabContext, say: Callable[[str], None]) -> str:
    """Make a backup if one is due, and prune; returns what went wrong."""
    try:
        if not await asyncio.to_thread(backups.due, context.lab, context.state, time.time()):
            return ""
    except NodiskError as error:
        return error.message
    for verb in ("create", "prune"):
        status, printed = await _nodisk(context, verb)
        if status != 0:
            return printed
        if verb == "create":
            say(printed)
    return ""


async def _nodisk(context: LabContext, *words: str) -> tuple[int, str]:
    where: list[str | Path] = ["--lab", context.file, "--state", context.state.state.root]
    # It dies with this process; SIGTERM, so that it thaws and removes what it holds.
    process = await run.start_async(
        run.tied([sys.executable, "-m", "nodisk", "backup", *words, *where], signal.SIGTERM)
    )
    try:
        printed, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), PATIENCE)
        raise
    lines = printed.decode(errors="replace").strip().splitlines()
    return process.returncode or 0, (lines or ["it said nothing"])[0].removeprefix("error: ")


def _alarm(context: LabContext, first: bool) -> bool:
    """Record an alarm if the last good backup is old; returns whether it is.

    ``first``: that there is none yet is no reason so far, since the first one may just be made.
    """
    wrong = backups.problem(context.lab, context.state, time.time())
    if not wrong or (first and backups.read(context.state).made is None):
        return False
    with Database(context.state.database) as database:
        database.record(Kind.ALARM, f"backup: {wrong}", source="serve")
    return True
