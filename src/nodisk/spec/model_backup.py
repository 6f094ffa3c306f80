"""lab.yaml's model: backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from nodisk.spec.section import Section

Number = Annotated[int, Field(ge=0, le=1000)]


class Keep(Section):
    """How many backups `nodisk backup prune` keeps: the newest ones, and the last one of each period."""

    last: Number = 3
    """The newest, however old."""
    daily: Number = 7
    """One for each of so many days."""
    weekly: Number = 5
    """One for each of so many weeks."""
    monthly: Number = 12
    """One for each of so many months."""


class Backup(Section):
    """Where backups of the room go. `nodisk backup` makes, lists, proves and restores them."""

    target: str
    """A folder, `ssh://USER@HOST/PATH` or `s3://HOST/BUCKET/PATH`; best on another host or disk."""
    password_file: Path | None = None
    """The file with the password that encrypts them; absent: nodisk makes one in the state directory. Keep a copy of
    it elsewhere: without it nobody can read a backup."""
    keep: Keep = Keep()
    """Which backups are kept."""
    schedule: str | None = None
    """When `nodisk serve` makes one and prunes, as systemd.time(7) writes calendar events: `daily`, `Mon..Fri 18:00`.
    Absent: only by command."""
