"""Percentiles, histograms, and whether two runs really differ. Pure; times are in seconds by convention.

A percentile of samples is the nearest-rank one: always a value that was measured. A percentile of a histogram is
interpolated within its bucket, as Prometheus' ``histogram_quantile`` does, and so is only as exact as the bucket is
narrow: ``Histogram.bounds`` says between which values it lies.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
SMALLEST_CHANGE = 0.05
"""A difference under 5 % is not reported, however significant."""


def percentile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least ``share`` (0 < share ≤ 1) of all samples don't exceed.

    Raises ValueError without samples or for a share outside that range.
    """
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    if not 0 < share <= 1:
        raise ValueError(f"a share is above 0 and at most 1, not {share}")
    # 1e-9: 0.07 * 100 is 7.000000000000001 in binary, and must still be the seventh.
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of samples."""

    n: int
    median: float
    p99: float


def summary(samples: Sequence[float]) -> Summary:
    """Summarise samples; raises ValueError if there are none."""
    ordered = sorted(samples)
    return Summary(
        n=len(ordered),
        median=percentile(ordered, 0.5),
        p99=percentile(ordered, 0.99),
    )


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of observations by bucket, cumulative as Prometheus has them.

    ``bounds`` are the buckets' upper ends, rising, the last one infinite; ``counts[i]`` is how many observations were
    at most ``bounds[i]``, so the last count is the number of all. ``total`` is the observations' sum.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float = 0.0

    def __post_init__(self) -> None:
        if len(self.bounds) != len(self.counts) or not self.bounds or self.bounds[-1] != math.inf:
            raise ValueError("a histogram has a count for each bound, and its last bound is +Inf")
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError("the bounds of a histogram rise")
        if list(self.counts) != sorted(self.counts) or self.counts[0] < 0:
            raise ValueError("the counts of a histogram are cumulative: none is less than the one before")

    @classmethod
    def of(cls, samples: Iterable[float], bounds: Sequence[float]) -> Histogram:
        """Sort samples into buckets that end at ``bounds`` (+Inf is added if absent)."""
        ends = tuple(bounds) if bounds and bounds[-1] == math.inf else (*bounds, math.inf)
        single = [0] * len(ends)
        total = 0.0
        for sample in samples:
            single[bisect_left(ends, sample)] += 1
            total += sample
        running, counts = 0, []
        for count in single:
            running += count
            counts.append(float(running))
        return cls(ends, tuple(counts), total)

    @property
    def n(self) -> int:
        """How many observations."""
        return round(self.counts[-1])

    @property
    def mean(self) -> float:
        """The observations' mean; raises ValueError if there are none."""
        if not self.n:
            raise ValueError("no observations")
        return self.total / self.n

    def bucket(self, share: float) -> tuple[float, float]:
        """Between which values (above, up to) the percentile lies; raises ValueError as ``percentile`` does."""
        index = self._index(share)
        return (self.bounds[index - 1] if index else 0.0), self.bounds[index]

    def percentile(self, share: float) -> float:
        """Interpolated within its bucket; in the last, endless bucket the largest finite bound (a lower limit).

        Raises ValueError without observations or for a share outside 0 < share ≤ 1.
        """
        index = self._index(share)
        low, high = self.bucket(share)
        if high == math.inf:
            return low
        before = self.counts[index - 1] if index else 0.0
        inside = self.counts[index] - before
        low = min(low, high)  # a first bucket that ends below 0
        # min: 0.1 + (0.5 - 0.1) is 0.5000000000000001 in binary, and must not leave its bucket.
        return min(high, low + (high - low) * (share * self.counts[-1] - before) / inside)

    def _index(self, share: float) -> int:
        if not 0 < share <= 1:
            raise ValueError(f"a share is above 0 and at most 1, not {share}")
        if not self.n:
            raise ValueError("no observations")
        return bisect_left(self.counts, share * self.counts[-1])

    def __add__(self, other: Histogram) -> Histogram:
        """Both histograms' observations together; buckets that only one of them has are dropped.

        That keeps every count true, at the price of a wider bucket.
        """
        mine, others = (
            dict(zip(self.bounds, self.counts, strict=True)),
            dict(zip(other.bounds, other.counts, strict=True)),
        )
        shared = [bound for bound in self.bounds if bound in others]
        return Histogram(tuple(shared), tuple(mine[b] + others[b] for b in shared), self.total + other.total)

    def since(self, earlier: Histogram | None) -> Histogram:
        """What was observed after the scrape ``earlier`` (None: the series didn't exist then).

        A counter that fell, or other buckets, mean that the component restarted: then all it has now is new.
        """
        if earlier is None or earlier.bounds != self.bounds:
            return self
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
        if min(counts) < 0 or counts != sorted(counts):
            return self
        return Histogram(self.bounds, tuple(counts), self.total - earlier.total)

    def weighted(self) -> list[tuple[float, float]]:
        """Each bucket as (its middle, how many), for ``compare``: within a bucket all count as equal."""
        pairs, before, low = [], 0.0, 0.0
        for high, count in zip(self.bounds, self.counts, strict=True):
            if count > before:
                pairs.append(((low + high) / 2 if high != math.inf else low, count - before))
            before, low = count, high
        return pairs


def merge(histograms: Iterable[Histogram]) -> Histogram | None:
    """All observations together; None if there is no histogram."""
    merged: Histogram | None = None
    for histogram in histograms:
        merged = histogram if merged is None else merged + histogram
    return merged


@dataclass(frozen=True, slots=True)
class Difference:
    """Whether B differs from A beyond noise."""

    p_value: float
    """The probability of such a shift if nothing changed; 1.0: unknown."""
    shift: float
    """The probability that a value of B exceeds one of A, minus the reverse: -1 … 1."""
    enough: bool
    """Whether there were enough samples to tell."""

    @property
    def real(self) -> bool:
        """Beyond noise."""
        return self.enough and self.p_value < 1 - CONFIDENCE


Weighted = Sequence[tuple[float, float]]


def mann_whitney(a: Weighted, b: Weighted) -> Difference:
    """Compare two sets of (value, count) by rank: no assumption about their distribution; corrects for ties and
    buckets.

    The normal approximation, two-sided, with continuity correction: right from about eight values a side, under
    which ``enough`` is False.
    """
    n_a, n_b = sum(count for _, count in a), sum(count for _, count in b)
    if n_a < 1 or n_b < 1:
        return Difference(1.0, 0.0, enough=False)
    of_a, of_b = _by_value(a), _by_value(b)
    below, ties, wins = 0.0, 0.0, 0.0  # wins: pairs in which b is the larger, a tie being half a pair
    for value in sorted(of_a.keys() | of_b.keys()):
        count_a, count_b = of_a.get(value, 0.0), of_b.get(value, 0.0)
        wins += count_b * (below + count_a / 2)
        below += count_a
        ties += (count_a + count_b) ** 3 - (count_a + count_b)
    n = n_a + n_b
    variance = n_a * n_b / 12 * ((n + 1) - ties / (n * (n - 1))) if n > 1 else 0.0
    shift = 2 * wins / (n_a * n_b) - 1
    if variance <= 0:  # all values are equal
        return Difference(1.0, shift, enough=min(n_a, n_b) >= 8)
    away = max(0.0, abs(wins - n_a * n_b / 2) - 0.5) / math.sqrt(variance)
    return Difference(min(1.0, 2 * (1 - NormalDist().cdf(away))), shift, enough=min(n_a, n_b) >= 8)


def _by_value(pairs: Weighted) -> dict[float, float]:
    counts: dict[float, float] = {}
    for value, count in pairs:
        counts[value] = counts.get(value, 0.0) + count
    return counts
