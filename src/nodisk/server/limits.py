"""How much is recorded of whom: nobody can fill the records, and nobody can keep another's word out of them.

Everything has a bucket of its own: what one machine says of one stage, alarms of one machine for one kind of reason,
sightings of machines that lab.yaml doesn't know. So a flood of one thing costs that thing alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodisk.values import Mac, Stage


@dataclass(slots=True)
class RateLimit:
    """A token bucket a source: ``burst`` at once, then ``per_second``. Bounded in memory."""

    burst: float = 30
    per_second: float = 1
    sources: int = 4096
    now: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, source: str) -> bool:
        """Whether this source may do one more thing now; counts it if so."""
        now = self.now()
        if len(self._buckets) >= self.sources and source not in self._buckets:
            # The one seen longest ago has the fullest bucket: forgetting it gives away the least.
            self._buckets.pop(next(iter(self._buckets)))
        tokens, at = self._buckets.pop(source, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        self._buckets[source] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


@dataclass(slots=True)
class _Told:
    """The last alarm of its sort that has a record of its own."""

    number: int
    detail: str
    more: int = 0


@dataclass(slots=True)
class Alarms:
    """A record for each alarm, and once there are many of one sort one a minute: it counts those that are like it."""

    limit: RateLimit = field(default_factory=lambda: RateLimit(burst=30, per_second=1 / 60))
    _told: dict[str, _Told] = field(default_factory=dict)

    def tell(self, sort: str, detail: str, record: Callable[[str], int], amend: Callable[[int, str], None]) -> None:
        """``record`` it, or ``amend`` the last record of its sort. There are only so many sorts: callers see to it."""
        if self.limit.allows(sort) or sort not in self._told:
            self._told[sort] = _Told(record(detail), detail)
            return
        last = self._told[sort]
        last.more += 1
        if last.more & (last.more - 1) == 0:  # a write for 1, 2, 4, 8 …: a flood costs next to nothing
            amend(last.number, f"{last.detail} (and at least {last.more} more like it)")


@dataclass(slots=True)
class Limits:
    """All of one life of the server."""

    alarms: Alarms = field(default_factory=Alarms)
    reports: RateLimit = field(default_factory=RateLimit)
    """What a machine says itself, by stage: a flood of one stage keeps no ``failed`` out."""
    sightings: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=0.1))
    """What is seen of a machine of the lab from outside: DHCP, boot scripts."""
    stranger: RateLimit = field(default_factory=lambda: RateLimit(burst=10, per_second=1 / 60))
    """The same of one MAC that lab.yaml doesn't know …"""
    strangers: RateLimit = field(default_factory=lambda: RateLimit(burst=300, per_second=0.5))
    """… and of all of them: MACs are free to invent."""

    def report(self, mac: Mac, stage: Stage) -> bool:
        """Whether a machine's own word is taken."""
        return self.reports.allows(f"{mac} {stage}")

    def sighting(self, mac: Mac, stage: Stage) -> bool:
        """Whether it is recorded that a machine of the lab was seen at ``stage``."""
        return self.sightings.allows(f"{mac} {stage}")

    def unknown(self, mac: Mac) -> bool:
        """Whether it is recorded that a machine was seen that lab.yaml doesn't know."""
        return self.stranger.allows(str(mac)) and self.strangers.allows("")
