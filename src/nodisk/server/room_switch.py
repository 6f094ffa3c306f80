"""The timetable's hand: ``nodisk room on`` and ``off``, run as processes of their own."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path

from nodisk.errors import Busy, EnvironmentProblem
from nodisk.records.turns import Due
from nodisk.server import own_command
from nodisk.server.timetable import Act, Outcome, Result
from nodisk.spec.timetable import Turn

log = logging.getLogger("nodisk.server")

ARMED = (60.0, 1800.0)
"""Seconds for which the room is waited for, at least and at most: no longer than the lesson goes on."""
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
        words = arguments(due, datetime.now(UTC))
        ended = await own_command.finish(words, lab=lab, state=state)
        log.info("nodisk room %s ended with status %d:\n%s%s", due.turn, ended.status, ended.output, ended.errors)
        return result(ended.status, ended.errors)

    return act


def result(status: int, errors: str) -> Result:
    """What an exit status (docs/reference/exit-codes.md) and the last words mean."""
    if status == 0:
        return Result(Outcome.DONE)
    _, found, rest = errors.rpartition("error: ")
    said = re.sub(r"\s+", " ", rest.partition("hint: ")[0] if found else "").strip() or f"it ended with status {status}"
    # Machines that don't come, or whose answer nobody knows, are no better a minute later.
    hopeful = status in (EnvironmentProblem.exit_code, Busy.exit_code) or status < 0
    return Result(Outcome.FAILED if hopeful else Outcome.PARTLY, said[:_SAID])
