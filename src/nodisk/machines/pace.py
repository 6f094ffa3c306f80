"""How long a machine may stay at a stage of its boot before that is odd: by what the room's own boots took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from nodisk.records.events import Progress
from nodisk.values import Role, Stage

TOO_LONG = 600.0
"""Seconds at any stage after which it is odd in a room that has not booted often enough to say. A stage of emulated
machines may take 240."""
ENOUGH = 5
"""Boots of a role to Ready that say how long a stage takes it."""
NEWEST = 5
"""Boots of each machine that are looked at."""
MEDIANS = 4.0
"""Times as long as half of them took."""
SLOWEST = 2.0
"""Times as long as nine of ten took: a room that is switched on at once is slower than a machine alone."""
SHORTEST = 60.0
"""Seconds that any stage may take: a cable, a disk, somebody at a menu."""
SHORTEST_OF = {
    Stage.KERNEL: 120.0,  # it loads the rootfs, as all others may do at the same time
    Stage.ENROLLED: 300.0,  # it waits for a control plane, which perhaps only boots
    Stage.JOINED: 180.0,  # images are pulled
}
"""The same of stages that depend on others."""
LONGEST = 3600.0
"""Seconds that no stage takes, whatever machines waited for in earlier boots."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is usual in a room."""

    usual: Mapping[tuple[Role, Stage], float]
    """Role, stage → seconds that half of the boots stayed there; nothing where there were too few."""
    limits: Mapping[tuple[Role, Stage], float]
    """Role, stage → seconds after which it is odd; nothing where there were too few."""

    def limit(self, role: Role, stage: Stage | None) -> float | None:
        """Seconds after which it is odd to be at that stage; None: one may stay there."""
        if stage in (None, Stage.READY, Stage.FAILED):
            return None
        return self.limits.get((role, stage), TOO_LONG)


def pace(boots: Iterable[tuple[Role, Iterable[Progress]]]) -> Pace:
    """What is usual, by each machine's role and its boots in their order; of these, those count that came to Ready."""
    took: dict[tuple[Role, Stage], list[float]] = {}
    for role, ways in boots:
        for way in [one for one in ways if any(stage is Stage.READY for stage, _ in one.times)][-NEWEST:]:
            for (stage, at), (_, left) in pairwise(way.times):
                took.setdefault((role, stage), []).append(max(0.0, left - at))
    known = {key: sorted(seconds) for key, seconds in took.items() if len(seconds) >= ENOUGH}
    return Pace(
        {key: median(seconds) for key, seconds in known.items()},
        {key: _limit(key[1], seconds) for key, seconds in known.items()},
    )


def _limit(stage: Stage, seconds: list[float]) -> float:
    nine_of_ten = seconds[-(-len(seconds) * 9 // 10) - 1]
    wanted = max(SHORTEST_OF.get(stage, SHORTEST), MEDIANS * median(seconds), SLOWEST * nine_of_ten)
    return min(LONGEST, wanted)
