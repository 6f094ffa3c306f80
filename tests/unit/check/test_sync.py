"""How fast the disk is: the arithmetic, a real disk, and no file that stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.check import sync
from nodisk.check.findings import Level
from nodisk.errors import TimedOut
from nodisk.state import State

FOLDER = Path("/srv/nodisk")


@pytest.mark.parametrize(
    ("seconds", "level", "said"),
    [
        ([0.0004] * 98 + [0.05, 0.06], Level.WARNING, "after 0.4 ms (half of 100), 50.0 ms (99 %); at most 10.0 ms"),
        ([0.0004] * 99 + [0.9], Level.OK, "after 0.4 ms (half of 100), 0.4 ms (99 %)"),
        ([0.010] * 80, Level.OK, "10.0 ms (99 %)"),
        ([0.0101] * 80, Level.WARNING, "10.1 ms (99 %)"),
        ([1.25], Level.WARNING, "after 1250 ms (half of 1), 1250 ms (99 %)"),
        ([], Level.WARNING, "no write to /srv/nodisk was synced within 1 s"),
    ],
)
def test_judgement(seconds: list[float], level: Level, said: str) -> None:
    found = sync.judge(seconds, FOLDER)
    assert (found.check, found.level) == ("sync", level)
    assert said in found.message
    assert ("SSD" in found.hint) == (level is Level.WARNING)


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(1, 99))
def test_percentile(values: list[float], percent: int) -> None:
    found = sync.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_a_real_disk(tmp_path: Path) -> None:
    looks = iter([False] * 5 + [True])
    took = sync.measure(tmp_path / "file", LONG, stop=lambda: next(looks))
    assert len(took) == 4, "of five, the first one is not counted"
    assert all(seconds > 0 for seconds in took)
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    [found] = sync.sync(State(tmp_path / "not" / "yet").lab("room"))
    assert f"on the disk of {tmp_path} after " in found.message
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written() -> None:
    [found] = sync.sync(State(Path("/proc/nowhere")).lab("room"))
    assert found.level is Level.WARNING
    assert found.message.startswith("not measured on /proc: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: int) -> None:
    words = [sys.executable, "-m", "nodisk.check.sync", str(tmp_path / "file"), "60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        until((tmp_path / "file").exists, every=0.01, why="it does not measure", process=child)
        child.send_signal(number)
        _, err = child.communicate(timeout=LONG)
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(argv: list[Path], **_: object) -> None:
        argv[3].touch()
        raise TimedOut("it timed out after 21 seconds")

    monkeypatch.setattr(run, "run", hang)
    [found] = sync.sync(State(tmp_path).lab("room"))
    assert found.message == "not measured: it timed out after 21 seconds"
    assert list(tmp_path.iterdir()) == []
