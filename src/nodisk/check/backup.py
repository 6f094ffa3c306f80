"""Whether the room is backed up: what is scheduled, when the last one was made, and whether one was ever restored."""

from __future__ import annotations

import time

from nodisk import run
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError
from nodisk.records import backups
from nodisk.spec.model import Lab
from nodisk.state import LabState

_NAME = "backup"


def backup(lab: Lab, state: LabState, *, now: float | None = None) -> list[Finding]:
    """Look at lab.yaml and at the record of backups; nothing is reached."""
    now = time.time() if now is None else now
    if lab.backup is None:
        return [ok(_NAME, "no backups are set up (backup: in lab.yaml; see docs/how-to/backup.md)")]
    try:
        run.find("restic")
        if lab.backup.schedule is not None:
            backups.next_after(lab.backup.schedule, now)
    except NodiskError as problem:
        return [error(_NAME, problem.message, problem.hint or "")]
    if wrong := backups.problem(lab, state, now):
        return [warning(_NAME, wrong, "nodisk serve makes it when it runs; or: nodisk backup create")]
    found = backups.read(state)
    if found.made is not None and found.proved is None:
        return [warning(_NAME, "no backup was ever restored for proof", "run: nodisk backup verify")]
    return [ok(_NAME, f"backups go to {lab.backup.target}")]
