"""The server's next step for students' storage. Pure; ``server.volume_keeper`` observes and acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodisk.storage.volumes import Volume

Stamp = tuple[tuple[str, int], ...]

SETTLE = 0.5
"""Seconds for which the records must be unchanged: those of a class are written one by one."""
RETRY = 10.0
"""Seconds until a failure is retried: a port in use, a missing program, a full disk."""
LOOK = 10.0
"""Seconds after which the records are read without a notification: a writer may have been killed before it notified."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything on which the next step depends."""

    now: float
    stamp: Stamp
    """The current records."""
    before: Stamp | None = None
    """The records when last read, None if never; ``since`` is when they last changed."""
    since: float = 0.0
    arranged: Stamp | None = None
    """The records that were last put into effect."""
    failing: bool = False
    """Part of it failed; ``again`` is when to retry."""
    again: float = 0.0
    refused: bool = False
    """The NFS server died, was restarted, and now reports problems with its exports."""


@dataclass(frozen=True, slots=True)
class Arrange:
    """Put the records into effect; ``afresh``: even if the same is already served."""

    afresh: bool = False


@dataclass(frozen=True, slots=True)
class Mend:
    """Retry what failed on its own, and put everything into effect if that helps."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for this many seconds, or until a notification."""

    seconds: float


def next_step(seen: Seen) -> Arrange | Mend | Wait:
    """What to do now. Nothing is interrupted while records still change, or before a failure is due for a retry."""
    changing = seen.stamp != seen.before or seen.now < seen.since + SETTLE
    if seen.stamp != seen.arranged and not changing:
        return Arrange()
    if seen.failing and seen.now >= seen.again:
        return Mend()
    if seen.refused:
        return Arrange(afresh=True)
    seconds = LOOK
    if seen.stamp != seen.arranged:
        seconds = SETTLE if seen.stamp != seen.before else seen.since + SETTLE - seen.now
    return Wait(min(seconds, seen.again - seen.now) if seen.failing else seconds)


def sort(found: Sequence[Volume]) -> tuple[tuple[Volume, ...], tuple[Volume, ...]]:
    """The volumes to export, and those to delete: only the ones whose record says so."""
    wanted = tuple(volume for volume in found if volume.state == "exported")
    removed = tuple(volume for volume in found if volume.state == "removed")
    return wanted, removed
