"""When the lab was last backed up, which backup was last proved, and when the next one is due.

For status, check, and the server, which makes the scheduled ones and raises the alarm.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nodisk import files, run
from nodisk.errors import CommandFailed, NodiskError, UsageError
from nodisk.spec.model import Lab
from nodisk.state import LabState


@dataclass(frozen=True, slots=True)
class Backups:
    """What is recorded; times are seconds since 1970."""

    made: float | None = None
    """When the content of the last good backup was true."""
    id: str = ""
    target: str = ""
    proved: float | None = None
    """When the content of the newest backup that was restored for proof was true."""
    proved_id: str = ""


def path(state: LabState) -> Path:
    """The record's file."""
    return state.backup / "record.json"


def read(state: LabState) -> Backups:
    """The record; an empty one if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Backups(**json.loads(path(state).read_text(encoding="utf-8")))
    return Backups()


def note_made(state: LabState, made: float, id_: str, target: str) -> None:
    """Record a good backup."""
    _write(state, replace(read(state), made=made, id=id_, target=target))


def note_proved(state: LabState, made: float, id_: str) -> None:
    """Record that a backup was restored and compared."""
    if (before := read(state)).proved is None or before.proved <= made:
        _write(state, replace(before, proved=made, proved_id=id_))


def _write(state: LabState, found: Backups) -> None:
    state.backup.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(path(state), json.dumps(asdict(found), indent=1) + "\n", mode=0o600)


def next_after(schedule: str, after: float) -> float:
    """When a calendar event (systemd.time(7), this host's time zone) next comes after a time; seconds since 1970.

    systemd itself reads it. Raises UsageError where it can't, or where the event never comes again.
    """
    base = f"{datetime.fromtimestamp(after, UTC):%Y-%m-%d %H:%M:%S} UTC"
    words = ["systemd-analyze", "calendar", "--iterations=1", f"--base-time={base}", "--", schedule]
    try:
        said = run.run(words, env={"LC_ALL": "C"}, timeout=20).stdout
    except CommandFailed as error:
        raise UsageError(
            f"backup.schedule: {schedule!r} is no calendar event", hint="such as daily, or Mon..Fri 18:00"
        ) from error
    found = elapse(said)
    if found is None:
        raise UsageError(f"backup.schedule: {schedule!r} never comes again", hint="such as daily, or Mon..Fri 18:00")
    return found


def elapse(said: str) -> float | None:
    """The time in the output of ``systemd-analyze calendar``: its UTC line where the host has another zone. Pure."""
    for label in (r"\(in UTC\)", "Next elapse"):
        if match := re.search(rf"^\s*{label}: \w+ (\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? UTC$", said, re.MULTILINE):
            return datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    return None


def due(lab: Lab, state: LabState, now: float) -> bool:
    """Whether a scheduled backup is to be made now; also one that was missed. Raises UsageError as ``next_after``."""
    if lab.backup is None or lab.backup.schedule is None:
        return False
    made = read(state).made
    return made is None or next_after(lab.backup.schedule, made) <= now


def problem(lab: Lab, state: LabState, now: float) -> str:
    """What is wrong with the lab's scheduled backups, in a sentence; '' for nothing, also where none are scheduled.

    One that is a whole period late is missing: the one that is due may just be running.
    """
    if lab.backup is None or lab.backup.schedule is None:
        return ""
    made = read(state).made
    if made is None:
        return "there is no backup yet"
    try:
        late = next_after(lab.backup.schedule, next_after(lab.backup.schedule, made)) <= now
    except NodiskError as error:
        return error.message
    when = f"{datetime.fromtimestamp(made).astimezone():%Y-%m-%d %H:%M}"
    return f"the last good backup is of {when}, and a later one was due" if late else ""
