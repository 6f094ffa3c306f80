"""Processes are found and ended by their own words, never by number alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waits import LONG

from nodisk.machines import processes

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
MEEK = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
def mark() -> str:
    return f"nodisk-test-{os.getpid()}-{time.monotonic_ns()}"


def spawn(code: str, mark: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", code, mark], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.fixture
def meek(mark: str) -> Iterator[subprocess.Popen[bytes]]:
    with spawn(MEEK, mark) as child:
        yield child
        child.kill()


def test_found_by_a_word_of_its_command_line(meek: subprocess.Popen[bytes], mark: str) -> None:
    assert processes.find([mark]) == [meek.pid]
    assert processes.find([mark, "other"]) == []
    assert processes.find([mark[:-1]]) == []  # a whole word, not a part of one


def test_ended_politely(meek: subprocess.Popen[bytes], mark: str) -> None:
    assert processes.end([meek.pid], words=[mark], grace=LONG) == [meek.pid]
    assert meek.wait(60) == -15


def test_another_process_with_that_number_is_left_alone(meek: subprocess.Popen[bytes]) -> None:
    assert processes.end([meek.pid], words=["not its word"]) == []
    assert processes.kill(meek.pid, ["not its word"]) is False
    assert meek.poll() is None


def test_one_that_ignores_sigterm_is_killed_after_the_grace(mark: str) -> None:
    with spawn(STUBBORN, mark) as child:
        assert processes.end([child.pid], words=[mark], grace=0.2) == [child.pid]
        assert child.wait(60) == -9


def test_cut_is_immediate(mark: str) -> None:
    with spawn(STUBBORN, mark) as child:
        assert processes.kill(child.pid, [mark])
        assert child.wait(60) == -9


def test_pid_file_of_a_process_that_is_gone(tmp_path: Path, meek: subprocess.Popen[bytes], mark: str) -> None:
    path = tmp_path / "x.pid"
    assert processes.from_pid_file(path, [mark]) is None
    path.write_text("not a number\n")
    assert processes.from_pid_file(path, [mark]) is None
    path.write_text(f"{meek.pid}\n")
    assert processes.from_pid_file(path, [mark]) == meek.pid
    assert processes.from_pid_file(path, ["another's"]) is None
    meek.kill()
    meek.wait()
    assert processes.from_pid_file(path, [mark]) is None


def test_start_time(meek: subprocess.Popen[bytes]) -> None:
    assert abs(processes.start_time(meek.pid) - time.time()) < 30


def test_waiting_for_an_end(meek: subprocess.Popen[bytes]) -> None:
    assert not processes.wait_gone(meek.pid, 0.01)
    threading.Timer(0.2, meek.kill).start()
    assert processes.wait_gone(meek.pid, 60)
