"""In which order machines are booted into the new build. Pure.

Control planes go one by one, because a kubelet may not be newer than its API server; then workers in waves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from nodisk.values import Role

USUAL = "20%"
_WAVE = re.compile(r"([0-9]{1,4})(%?)", re.ASCII)


class Runs(StrEnum):
    """What a machine booted last."""

    NEW = "new"
    """The build that is current."""
    OLD = "old"
    """Another one."""
    NOTHING = "nothing"
    """It never booted the lab: it gets the current build whenever it does."""


@dataclass(frozen=True, slots=True)
class One:
    """A machine, as far as its turn depends on it."""

    name: str
    role: Role
    runs: Runs


@dataclass(frozen=True, slots=True)
class Wave:
    """How many workers may be away at the same time: a number, or a share of all workers."""

    share: Fraction | None
    """Of all workers; None: ``count``."""
    count: int = 1

    @classmethod
    def usual(cls) -> Wave:
        """Where nobody says anything else."""
        return cls.parse(USUAL)

    @classmethod
    def parse(cls, text: str) -> Wave:
        """``3`` or ``20%``; raises ValueError."""
        found = _WAVE.fullmatch(text)
        if found is None or not (number := int(found[1])) or (found[2] and number > 100):
            raise ValueError(f"{text!r} is not a wave: a number of machines such as 3, or a share such as 20%")
        return cls(Fraction(number, 100)) if found[2] else cls(None, number)

    def size(self, workers: int) -> int:
        """How many of so many workers; a share is rounded down, but at least one goes, or none ever would."""
        return max(1, self.count if self.share is None else int(self.share * workers))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade does."""

    steps: tuple[tuple[str, ...], ...]
    """Machines that are away together, step after step."""
    done: tuple[str, ...]
    """Machines that have the new build already."""
    absent: tuple[str, ...]
    """Machines that never booted."""


def plan(machines: Sequence[One], wave: Wave) -> Plan:
    """Put every machine that runs another build than the new one into exactly one step.

    The wave counts from all workers, not from those that are left: the last steps take no more away than the first.
    """
    old = {role: [one.name for one in machines if one.role is role and one.runs is Runs.OLD] for role in Role}
    workers = old[Role.WORKER]
    size = wave.size(sum(one.role is Role.WORKER for one in machines))
    return Plan(
        steps=(
            *((name,) for name in old[Role.CONTROL_PLANE]),
            *(tuple(workers[first : first + size]) for first in range(0, len(workers), size)),
        ),
        done=tuple(one.name for one in machines if one.runs is Runs.NEW),
        absent=tuple(one.name for one in machines if one.runs is Runs.NOTHING),
    )
