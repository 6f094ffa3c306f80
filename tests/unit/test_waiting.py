"""Deadlines, by a clock that passes by sleeping alone."""

from __future__ import annotations

import asyncio
import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from nodisk.waiting import Deadline, until


class Time:
    """A clock and what was slept by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def deadline(self, seconds: float | None) -> Deadline:
        return Deadline(seconds, now=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_what_is_left_counts_down_to_zero() -> None:
    fake = Time()
    deadline = fake.deadline(10)
    assert (deadline.left, deadline.passed) == (10, False)
    fake.now += 4
    assert deadline.left == 6
    fake.now += 40
    assert (deadline.left, deadline.passed) == (0, True)
    deadline.start(3)
    assert deadline.left == 3


def test_the_last_pause_ends_at_the_deadline() -> None:
    fake = Time()
    deadline = fake.deadline(1.0)
    assert [deadline.pause(0.4) for _ in range(4)] == [True, True, True, False]
    assert fake.slept[:2] == [0.4, 0.4]
    assert 0 < fake.slept[2] < 0.4
    assert fake.now == deadline.end


def test_never_is_no_deadline() -> None:
    fake = Time()
    deadline = fake.deadline(None)
    assert all(deadline.pause(1e6) for _ in range(10))
    assert not deadline.passed


@given(within=st.floats(0, 100), every=st.floats(0.1, 10), ready=st.floats(0, 200))
def test_until_asks_at_the_start_and_at_the_deadline(within: float, every: float, ready: float) -> None:
    """Whatever the rhythm: what is there by the deadline is found, and nothing is waited for beyond it."""
    fake = Time()
    asked: list[float] = []

    def ask() -> float:
        asked.append(fake.now - 1000)
        return fake.now if fake.now - 1000 >= ready else 0.0

    deadline = fake.deadline(within)
    answer = until(ask, deadline, every=every)
    assert bool(answer) == (ready <= deadline.end - 1000)
    assert asked[0] == 0
    assert fake.now <= deadline.end + 1e-6
    if not answer:
        assert fake.now >= deadline.end


def test_a_coroutine_pauses_without_holding_up_others() -> None:
    """By a clock that goes on by a second whenever it is read: nobody's is too slow for it."""

    async def both() -> list[str]:
        order: list[str] = []

        async def wait() -> None:
            deadline = Deadline(3, now=itertools.count().__next__)
            while await deadline.pause_async(0.01):
                order.append("waited")

        async def other() -> None:
            order.append("other")

        await asyncio.gather(wait(), other())
        return order

    assert asyncio.run(both()) == ["other", "waited", "waited"]


def test_a_coroutine_pauses_no_less_than_the_time_that_is_left() -> None:
    async def wait() -> float:
        began, deadline = time.monotonic(), Deadline(0.05)
        while await deadline.pause_async(60):
            pass
        return time.monotonic() - began

    assert 0.05 <= asyncio.run(wait()) < 60
