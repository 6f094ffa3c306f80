"""Whether the memory of a server's daemons is flat, as tools/console_load.py judges it."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.load_memory import SHORTEST, Memory, Sample, trend

HOUR, STEP = 3600, 60


def samples(mib: list[float], *, seconds: int = HOUR) -> list[Sample]:
    """Of one daemon, at equal distances."""
    return [(seconds * at / (len(mib) - 1), {"nginx": one}) for at, one in enumerate(mib)]


def noisy(base: float, hourly: float, number: int) -> list[float]:
    chance = random.Random(number)  # noqa: S311 - the same every time
    return [base + hourly * at / STEP + chance.uniform(-0.3, 0.3) for at in range(STEP + 1)]


@given(st.floats(20, 500), st.integers(0, 1000))
def test_what_stays_is_flat_and_what_grows_is_not(base: float, number: int) -> None:
    assert trend("nginx", samples(noisy(base, 0.0, number))).flat
    assert trend("nginx", samples(noisy(base, -5.0, number))).flat
    grown = trend("nginx", samples(noisy(base, 0.02 * base + 2, number)))
    assert grown.flat is False
    assert "NOT FLAT" in grown.line


def test_steps_count_and_spikes_and_the_beginning_do_not() -> None:
    steps = [100.0 + 4 * (at // 15) for at in range(STEP + 1)]
    assert trend("nginx", samples(steps)).flat is False
    spikes = [100.0 + (80 if at % 20 == 19 else 0) for at in range(STEP + 1)]
    assert trend("nginx", samples(spikes)).flat
    settling = [min(100.0, 60 + 2 * at) for at in range(STEP + 1)]
    found = trend("nginx", samples(settling))
    assert (found.flat, found.first, found.last, found.most) == (True, 60.0, 100.0, 100.0)


def test_what_can_not_be_judged() -> None:
    assert trend("nginx", samples([100.0] * 60, seconds=int(SHORTEST) - 1)).flat is None
    gone: list[Sample] = [*samples([100.0] * 60)[:-1], (float(HOUR), {})]
    assert trend("nginx", gone).flat is None, "it was away: whether it was started again, the log says"
    assert trend("nginx", samples([100.0, 100.0])[:1]).flat is None


def test_a_process_and_its_children() -> None:
    memory = Memory(os.getpid(), {"me": os.getpid(), "nobody": 2**22 + 1})
    memory.take()
    ((at, found),) = memory.samples
    assert at < 60
    assert set(found) == {"the server", "me"}
    assert found["me"] >= found["the server"] * 0.9 > 5
    assert [one.name for one in memory.trends()] == ["the server", "me"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_samples_break_nothing(count: int) -> None:
    assert trend("nginx", samples([1.0] * 4)[:count]).line.startswith("memory of nginx: 1.0 MiB first")
