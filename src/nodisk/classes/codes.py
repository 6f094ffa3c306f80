"""Codes with which a class's students sign in for the first time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nodisk.classes.record import Account, Class
from nodisk.errors import UsageError
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.records import door
from nodisk.records.door import Door

DAYS = 14
"""For which a code can be used; the class's end comes first where it is nearer."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a student is on the way through the door."""

    student: Account
    passphrase: bool
    """Whether one is set."""
    ends: datetime | None
    """When a code that nobody has used yet ends; None: there is none."""

    @property
    def needs_code(self) -> bool:
        """Whether the student can get in by nothing."""
        return not self.passphrase and self.ends is None

    @property
    def state(self) -> str:
        """In words."""
        if self.passphrase:
            return "has a passphrase"
        return "no code" if self.ends is None else "code not used yet"


@dataclass(frozen=True, slots=True)
class Issued:
    """New codes."""

    ends: datetime
    codes: dict[str, str] = field(repr=False)
    """Account's key → the code, as people get it. Nothing else knows it from now on."""


def waiting(records: Door, found: Class, chosen: Sequence[Account]) -> list[Waiting]:
    """Where each of these students is."""
    ends, passphrases = records.codes(found.name), records.with_passphrase(found.name)
    return [
        Waiting(one, one.key in passphrases, datetime.fromtimestamp(ends[one.key], UTC) if one.key in ends else None)
        for one in chosen
    ]


def until(found: Class, days: int, now: datetime) -> datetime:
    """When codes that are made now end. Raises UsageError for a class that has ended or lets nobody in."""
    if not found.door:
        raise UsageError(
            f"class {found.name} doesn't let students sign in with a browser",
            hint=f"nodisk class create {found.name} … --door",
        )
    if found.expires <= now:
        raise UsageError(f"class {found.name} has ended", hint=f"nodisk class extend {found.name} --days 30")
    return min(found.expires, now + timedelta(days=days))


def issue(
    records: Door,
    found: Class,
    chosen: Sequence[Account],
    *,
    ends: datetime,
    on_done: Callable[[], None] = lambda: None,
) -> Issued:
    """Make a code for each of these students. A passphrase that one has, and all sessions, end by that."""
    salt, new = records.salted(found.name), _different(len(chosen))

    def digest(code: str) -> str:
        made = door.code_digest(code, salt)
        on_done()
        return made

    digests = all_or_raise(in_parallel(digest, new))
    keys = [student.key for student in chosen]
    records.issue(found.name, dict(zip(keys, digests, strict=True)), ends=ends.timestamp())
    return Issued(ends, {key: door.shown(code) for key, code in zip(keys, new, strict=True)})


def _different(number: int) -> list[str]:
    made: set[str] = set()
    while len(made) < number:
        made.add(door.new_code())
    return sorted(made)
