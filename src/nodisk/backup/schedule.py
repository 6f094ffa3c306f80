"""Backups by the clock: ``nodisk serve`` makes them, prunes, and raises an alarm while the last good one is old.

Each is a process of its own, ``nodisk backup create``: a server that is told to stop needn't wait for an upload, and
what it asks to end tidies up as at Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence

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
PATIENCE = 60.0
"""Seconds for which a backup that is told to end may tidy up."""


async def keep(context: LabContext, say: Callable[[str], None], *, every: float = EVERY) -> None:
    """Look every minute until cancelled; a failure that stays the same is said once."""
    failed, said, alarmed = -RETRY, "", -ALARM
    while True:
        now = time.monotonic()
        if now - failed >= RETRY:
            wrong = await _one(context, say)
            if wrong:
                failed = time.monotonic()
                if wrong != said:
                    say(f"the scheduled backup failed and will be tried again: {wrong}")
            said = wrong
        if now - alarmed >= ALARM and await asyncio.to_thread(_alarm, context):
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
    where = ["--lab", context.file, "--state", context.state.state.root]
    argv: Sequence[object] = [sys.executable, "-m", "nodisk", "backup", *words, *where]
    # It dies with this process; SIGTERM, so that it thaws and removes what it holds.
    process = await run.start_async(["setpriv", "--pdeathsig", "TERM", *map(str, argv)])
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


def _alarm(context: LabContext) -> bool:
    """Record an alarm if the last good backup is old; returns whether it is."""
    wrong = backups.problem(context.lab, context.state, time.time())
    if not wrong or backups.read(context.state).made is None:
        return False
    with Database(context.state.database) as database:
        database.record(Kind.ALARM, f"backup: {wrong}", source="serve")
    return True
