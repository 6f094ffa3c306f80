"""For ``console_load``: the memory of the server's daemons over the time of a run, and whether it is flat."""

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SETTLING = 1 / 3
"""Of a run: for so long caches fill and allocators grow, and nothing is judged."""
SHORTEST = 900.0
"""Seconds of a run that says something about an hour."""
SHARE, LEAST = 0.02, 1.0
"""A daemon is flat if it grows by no more than this share of its memory in an hour, or by so many MiB."""

Sample = tuple[float, Mapping[str, float]]
"""Seconds since the beginning, and MiB of each daemon."""


@dataclass(frozen=True)
class Trend:
    """One daemon's."""

    name: str
    first: float
    last: float
    most: float
    """MiB."""
    slope: float
    """MiB an hour, after the settling."""
    flat: bool | None
    """None: the run was too short to say, or the daemon was not there all the time."""

    @property
    def line(self) -> str:
        """What is printed of it."""
        word = {True: "flat", False: "NOT FLAT", None: "not judged"}[self.flat]
        about = f"{self.first:.1f} MiB first, {self.last:.1f} last, {self.most:.1f} most, {self.slope:+.2f} an hour"
        return f"memory of {self.name}: {about}: {word}"


@dataclass
class Memory:
    """Samples of a server's daemons."""

    pid: int
    """The server itself."""
    daemons: Mapping[str, int]
    """Name → process, as the server's ready.json has it."""
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)

    def take(self) -> None:
        """One more sample."""
        children = _children()
        found = {"the server": _mib(self.pid)}
        found |= {name: sum(map(_mib, _with_descendants(pid, children))) for name, pid in self.daemons.items()}
        self.samples.append((time.monotonic() - self.began, {name: mib for name, mib in found.items() if mib}))

    def trends(self) -> list[Trend]:
        """Of each daemon, in the order of its name, the server first."""
        names = sorted(
            {name for _, found in self.samples for name in found}, key=lambda name: (name[:4] != "the ", name)
        )
        return [trend(name, self.samples) for name in names]


def trend(name: str, samples: Sequence[Sample]) -> Trend:
    """What samples say of one daemon. Pure.

    The slope is the median of the slopes between any two samples after the settling (Theil and Sen): a spike moves it
    little, and growth in few large steps moves it as much as growth in many small ones.
    """
    there = [(at, found[name]) for at, found in samples if name in found]
    until = samples[-1][0]
    settled = [one for one in there if one[0] >= until * SETTLING]
    slopes = [
        (second[1] - first[1]) / (second[0] - first[0])
        for first, second in itertools.combinations(settled, 2)
        if second[0] > first[0]
    ]
    hourly = 3600 * statistics.median(slopes) if slopes else 0.0
    allowed = max(LEAST, SHARE * statistics.median(mib for _, mib in settled or there))
    judged = until >= SHORTEST and len(there) == len(samples) and bool(slopes)
    mibs = [mib for _, mib in there]
    return Trend(name, mibs[0], mibs[-1], max(mibs), hourly, hourly <= allowed if judged else None)


def _children() -> dict[int, list[int]]:
    """Process → its children, of all that there are."""
    found: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):  # it has ended meanwhile
            continue
        found[parent].append(int(stat.parent.name))
    return found


def _with_descendants(pid: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _with_descendants(child, children)


def _mib(pid: int) -> float:
    """Of RAM that a process holds; 0: it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
