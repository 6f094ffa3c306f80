"""Properties of the statistics: what any percentile, difference or merge must satisfy, whatever the data."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodisk.bench.stats import Histogram, mann_whitney, merge, percentile, summary

BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
times = st.floats(min_value=0, max_value=60, allow_nan=False)
samples = st.lists(times, min_size=1, max_size=120)
shares = st.floats(min_value=0.001, max_value=1)


@given(samples, shares)
@settings(max_examples=80)
def test_a_percentile_is_a_sample_that_the_share_does_not_exceed(data: list[float], share: float) -> None:
    found = percentile(data, share)
    assert found in data
    assert sum(one <= found for one in data) >= share * len(data) - 1e-6
    assert sum(one < found for one in data) < share * len(data) + 1e-6


@given(samples)
@settings(max_examples=50)
def test_a_summary_rises(data: list[float]) -> None:
    said = summary(data)
    assert min(data) <= said.median <= said.p99 <= max(data)
    assert said.n == len(data)
    if len(data) < 100:
        assert said.p99 == max(data)


def test_known_percentiles() -> None:
    hundred = [float(i) for i in range(1, 101)]
    assert [percentile(hundred, s) for s in (0.07, 0.5, 0.99, 1)] == [7, 50, 99, 100]
    assert percentile([3.0], 0.01) == 3.0


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)
    with pytest.raises(ValueError, match="share"):
        Histogram.of([1.0], BOUNDS).percentile(share)


def test_no_samples_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="no observations"):
        Histogram.of([], BOUNDS).percentile(0.5)


@given(samples, shares)
@example([1.0, 1.0, 1.0, 0.5, 0.5, 0.5], 0.5)
@settings(max_examples=80)
def test_a_histogram_finds_the_bucket_of_the_true_percentile(data: list[float], share: float) -> None:
    histogram = Histogram.of(data, BOUNDS)
    low, high = histogram.bucket(share)
    exact = percentile(data, share)
    # The bucket is right up to the rounding of share * n, where the neighbour is as right.
    if abs(share * len(data) - round(share * len(data))) > 1e-6:
        assert low <= exact <= high
        assert low == 0 or low < exact
    assert low <= histogram.percentile(share) <= high
    assert histogram.n == len(data)
    assert histogram.mean == pytest.approx(sum(data) / len(data))


@given(samples)
@settings(max_examples=40)
def test_percentiles_of_a_histogram_rise(data: list[float]) -> None:
    histogram = Histogram.of(data, BOUNDS)
    found = [histogram.percentile(share) for share in (0.01, 0.1, 0.5, 0.9, 0.99, 1)]
    assert found == sorted(found)


def test_the_endless_bucket_gives_its_lower_end() -> None:
    assert Histogram.of([100.0], BOUNDS).percentile(0.99) == 30.0


@given(samples, samples)
@settings(max_examples=60)
def test_difference_undoes_merge(first: list[float], second: list[float]) -> None:
    earlier, later = Histogram.of(first, BOUNDS), Histogram.of(first + second, BOUNDS)
    between = later.since(earlier)
    assert between.counts == Histogram.of(second, BOUNDS).counts
    assert between.total == pytest.approx(sum(second), abs=1e-6)
    assert merge([earlier, between]) is not None
    assert (earlier + between).counts == later.counts


@given(samples, samples)
@settings(max_examples=40)
def test_merging_is_commutative_and_counts_all(first: list[float], second: list[float]) -> None:
    a, b = Histogram.of(first, BOUNDS), Histogram.of(second, BOUNDS)
    assert (a + b).counts == (b + a).counts
    assert (a + b).n == len(first) + len(second)


def test_merging_keeps_only_shared_buckets() -> None:
    merged = Histogram.of([0.2], (0.1, 1.0)) + Histogram.of([0.2], (0.5, 1.0))
    assert merged.bounds == (1.0, math.inf)
    assert merged.counts == (2.0, 2.0)


def test_a_restarted_component_counts_from_nothing() -> None:
    before, after = Histogram.of([0.2] * 50, BOUNDS), Histogram.of([0.02] * 3, BOUNDS)
    assert after.since(before) == after
    assert after.since(None) == after
    assert after.since(Histogram.of([1.0], (1.0,))) == after


@pytest.mark.parametrize(
    ("bounds", "counts"), [((1.0,), (1.0,)), ((1.0, math.inf), (2.0, 1.0)), ((2.0, 1.0, math.inf), (0, 0, 0)), ((), ())]
)
def test_what_is_no_histogram_is_refused(bounds: tuple[float, ...], counts: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram(bounds, counts)


def _ones(data: Sequence[float]) -> list[tuple[float, float]]:
    return [(one, 1.0) for one in data]


@given(samples, samples)
@settings(max_examples=60)
def test_comparing_is_symmetric(first: list[float], second: list[float]) -> None:
    there, back = mann_whitney(_ones(first), _ones(second)), mann_whitney(_ones(second), _ones(first))
    assert there.p_value == pytest.approx(back.p_value)
    assert there.shift == pytest.approx(-back.shift)
    assert 0 <= there.p_value <= 1
    assert mann_whitney(_ones(first), _ones(first)).real is False


def test_false_alarms_are_as_rare_as_said() -> None:
    chance = random.Random(5)  # noqa: S311 - the same figures at every run
    alarms = 0
    for _ in range(400):
        one, two = ([chance.lognormvariate(0, 1) for _ in range(30)] for _ in range(2))
        alarms += mann_whitney(_ones(one), _ones(two)).real
    assert 5 <= alarms <= 36  # 5 % of 400 are 20; three standard deviations are 13


def test_a_real_shift_is_found_in_samples_and_in_buckets() -> None:
    chance = random.Random(7)  # noqa: S311 - the same figures at every run
    one = [chance.gauss(1.0, 0.2) for _ in range(60)]
    two = [chance.gauss(1.4, 0.2) for _ in range(60)]
    found = mann_whitney(_ones(one), _ones(two))
    assert found.real
    assert found.shift > 0.5
    fine = [i / 10 for i in range(1, 40)]
    assert mann_whitney(Histogram.of(one, fine).weighted(), Histogram.of(two, fine).weighted()).real


def test_the_p_value_is_the_textbook_one() -> None:
    # Two groups of nine without ties: U = 12 of 81, mean 40.5, variance 81 * 19 / 12.
    a, b = [1, 2, 3, 4, 5, 6, 7, 14, 15], [8, 9, 10, 11, 12, 13, 16, 17, 18]
    wins = sum(x < y for x in a for y in b)
    z = (wins - 40.5 - 0.5) / math.sqrt(81 * 19 / 12)
    expected = math.erfc(z / math.sqrt(2))
    assert mann_whitney(_ones(a), _ones(b)).p_value == pytest.approx(expected)


def test_too_few_samples_tell_nothing() -> None:
    assert not mann_whitney(_ones([1.0] * 3), _ones([9.0] * 3)).real
    assert mann_whitney([], _ones([1.0])).enough is False
