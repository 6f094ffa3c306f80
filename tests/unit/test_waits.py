"""How tests wait: the helper's own failures."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from tests.support.waits import until, until_async


def test_the_first_true_answer_is_returned() -> None:
    answers = iter([0, "", 3, 4])
    assert until(lambda: next(answers), every=0) == 3
    assert asyncio.run(until_async(lambda: next(answers))) == 4


def test_a_failure_says_why_as_it_is_then() -> None:
    said: list[str] = []
    with pytest.raises(AssertionError, match="one, two"):
        until(lambda: said.append("two"), seconds=0, why=lambda: f"one, {said[-1]}")
    with pytest.raises(AssertionError, match="nobody came"):
        asyncio.run(until_async(bool, seconds=0, why="nobody came"))


def test_nobody_waits_for_a_process_that_has_ended() -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('out of order')"]
    with (
        subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child,
        pytest.raises(AssertionError, match=r"(?s)ended with 1.*out of order.*it never listened"),
    ):
        until(bool, why="it never listened", process=child)


def test_what_a_process_did_before_its_end_counts() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert until(lambda: "done", process=child) == "done"
