"""Limits on what is recorded: nobody can fill the records, and nobody can keep another's reports out of them.

Everything has its own bucket: one machine's reports of one stage, one machine's alarms of one kind, sightings of
machines that aren't in lab.yaml. So a flood of one affects only that one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodisk.values import Mac, Stage


@dataclass(slots=True)
class RateLimit:
    """One token bucket per source: ``burst`` at once, then ``per_second``. Bounded in memory."""

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

    def would_allow(self, source: str) -> bool:
        """The same, and counts nothing: for what counts only once it is known how it came out."""
        tokens, at = self._buckets.get(source, (self.burst, 0.0))
        return tokens + (self.now() - at) * self.per_second >= 1


@dataclass(slots=True)
class _LastAlarm:
    """The last recorded alarm of one sort, and how many more like it came since."""

    number: int
    detail: str
    more: int = 0


@dataclass(slots=True)
class Alarms:
    """Record each alarm; when there are many of one sort, record one per minute and count the rest in it."""

    limit: RateLimit = field(default_factory=lambda: RateLimit(burst=30, per_second=1 / 60))
    _last: dict[str, _LastAlarm] = field(default_factory=dict)

    def tell(self, sort: str, detail: str, record: Callable[[str], int], amend: Callable[[int, str], None]) -> None:
        """``record`` an alarm, or ``amend`` the last record of its sort. Callers use a small, fixed set of sorts."""
        if self.limit.allows(sort) or sort not in self._last:
            self._last[sort] = _LastAlarm(record(detail), detail)
            return
        last = self._last[sort]
        last.more += 1
        if last.more & (last.more - 1) == 0:  # a write for 1, 2, 4, 8 …: a flood costs next to nothing
            amend(last.number, f"{last.detail} (and at least {last.more} more like it)")


@dataclass(slots=True)
class Limits:
    """The rate limits of a running server."""

    alarms: Alarms = field(default_factory=Alarms)
    reports: RateLimit = field(default_factory=RateLimit)
    """Reports from a machine itself, limited per stage, so that a flood of one stage can't block ``failed``."""
    sightings: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=0.1))
    """Requests that show a lab machine booting: DHCP, boot scripts."""
    reviews: RateLimit = field(default_factory=lambda: RateLimit(burst=60, per_second=1))
    """Questions to the API server for the class registry: for a token, and for unknown tokens of an address."""
    per_unknown_mac: RateLimit = field(default_factory=lambda: RateLimit(burst=10, per_second=1 / 60))
    """The same requests from one MAC that is not in lab.yaml."""
    all_unknown_macs: RateLimit = field(default_factory=lambda: RateLimit(burst=300, per_second=0.5))
    """The same from all such MACs together, because anyone can make up MACs."""

    passwords: RateLimit = field(default_factory=lambda: RateLimit(burst=5, per_second=1 / 20))
    """Tries of the menu's password from one address, right or wrong."""
    all_passwords: RateLimit = field(default_factory=lambda: RateLimit(burst=40, per_second=0.5))
    """The same from all addresses together: a room of thirty, and an attacker who takes one address after another."""

    def password(self, source: str) -> bool:
        """Whether to look at a password from this address."""
        return self.passwords.allows(source) and self.all_passwords.allows("")

    def report(self, mac: Mac, stage: Stage) -> bool:
        """Whether to accept a machine's own report."""
        return self.reports.allows(f"{mac} {stage}")

    def lines(self, mac: Mac) -> bool:
        """Whether to keep what a machine prints."""
        return self.reports.allows(f"{mac} lines")

    def sighting(self, mac: Mac, stage: Stage) -> bool:
        """Whether to record that a lab machine was seen at ``stage``."""
        return self.sightings.allows(f"{mac} {stage}")

    def unknown(self, mac: Mac) -> bool:
        """Whether to record that a machine not in lab.yaml was seen."""
        return self.per_unknown_mac.allows(str(mac)) and self.all_unknown_macs.allows("")
