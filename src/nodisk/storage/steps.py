"""What the server does next for the students' storage: pure; the keeper (``server.volume_keeper``) looks and acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodisk.storage.volumes import Volume

Stamp = tuple[tuple[str, int], ...]

SETTLE = 0.5
"""Seconds for which the records must stay the same: those of a class are written one by one."""
RETRY = 10.0
"""Seconds until what failed is tried again: a port that was taken, a program that was missing, a disk that was full."""
LOOK = 10.0
"""Seconds after which the records are looked at though nobody rang: a writer may have been killed before it did."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the next step depends on."""

    now: float
    stamp: Stamp
    """The records as they are."""
    before: Stamp | None = None
    """The records as they were at the look before, None if there was none; ``since`` is when they last differed."""
    since: float = 0.0
    arranged: Stamp | None = None
    """The records that were last arranged."""
    failing: bool = False
    """Something of it could not be done; ``again`` is when it is due once more."""
    again: float = 0.0
    refused: bool = False
    """The NFS server died, was started again, and now finds fault with what it serves."""


@dataclass(frozen=True, slots=True)
class Arrange:
    """Make it as the records say; ``afresh``: though the same is served already."""

    afresh: bool = False


@dataclass(frozen=True, slots=True)
class Mend:
    """Try what failed by itself, and arrange if that helps."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for so many seconds, or until somebody rings."""

    seconds: float


def next_step(seen: Seen) -> Arrange | Mend | Wait:
    """What to do now. Records that still change are left alone, and failures rest, before anything is interrupted."""
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
    """The volumes to be exported, and those to be deleted: the ones whose record says so, and no others."""
    wanted = tuple(volume for volume in found if volume.state == "exported")
    removed = tuple(volume for volume in found if volume.state == "removed")
    return wanted, removed
