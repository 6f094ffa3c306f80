"""Ctrl-C while ``nodisk check`` waits for somebody who doesn't answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.asleep import until_asleep
from tests.support.waits import LONG, until

pytestmark = pytest.mark.interop

SOON = 0.001
"""Seconds between two looks at what may be there for tenths of one only."""
LAB = """\
name: stuck
network: {{subnet: 10.98.0.0/24, server: 10.98.0.1}}
os: {{mirror: "http://127.0.0.1:{port}/debian"}}
machines:
- {{name: cp1, mac: 52:54:00:98:00:11, address: 10.98.0.11, role: control-plane, memory: 2GiB}}
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_check_ends_at_once(tmp_path: Path, number: int, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = tmp_path / "lab.yaml"
        file.write_text(LAB.format(port=silent.getsockname()[1]))
        words = [sys.executable, "-m", "nodisk", "check", "--virtual", "--lab", str(file), "--state", str(tmp_path)]
        child = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        asked, _ = silent.accept()  # the mirror's check is there now, and waits
        with asked:
            until_asleep(child.pid)
            os.killpg(child.pid, number)
            out, err = child.communicate(timeout=LONG)
    assert child.returncode == status, err  # had it waited for the mirror, the check would have ended by itself
    assert out == ""
    assert err.endswith("\ninterrupted\n")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_file_that_measures_the_disk_is_gone(tmp_path: Path, number: int) -> None:
    """Interrupted while it is there: the whole process group by a terminal's Ctrl-C, the command alone by `kill`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file, state = tmp_path / "lab.yaml", tmp_path / "state"
        file.write_text(LAB.format(port=silent.getsockname()[1]))
        state.mkdir()
        words = [sys.executable, "-m", "nodisk", "check", "--virtual", "--lab", str(file), "--state", str(state)]
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as child:
            until(lambda: list(state.iterdir()), every=SOON, why="it does not measure", process=child)
            (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
            child.wait(timeout=LONG)
    until(lambda: not list(state.iterdir()), every=0.01, why=lambda: list(state.iterdir()))


def test_measuring_ends_also_by_several_signals_at_once(tmp_path: Path) -> None:
    """As a terminal's Ctrl-C and the command's own SIGTERM reach it; once, the second waited for the first for ever."""
    for number in range(16):
        file = tmp_path / f"file{number}"
        words = [sys.executable, "-m", "nodisk.check.sync", str(file), "60"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                until(file.exists, every=SOON, why="it does not measure", process=child)
                for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * 100:
                    child.send_signal(one)
                # Python's own end no longer handles them: then it is a signal, and the file is gone by then.
                assert child.wait(LONG) in (130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
            finally:
                child.kill()
    assert list(tmp_path.iterdir()) == []
