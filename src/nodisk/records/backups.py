"""When the lab was last backed up, and which backup was last proved: for status, check and the server's alarm."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nodisk import files
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
