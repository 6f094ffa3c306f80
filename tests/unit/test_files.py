"""Locks that can be looked at without being taken."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support.waits import LONG

from nodisk import files
from nodisk.errors import Busy

HOLD = """
import sys; from pathlib import Path; from nodisk import files
with files.lock(Path(sys.argv[1]), "it"):
    print("held", flush=True); sys.stdin.readline()
"""


def test_a_lock_names_its_holder_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert files.holder(path) is None
    with files.lock(path, "it"):
        assert files.holder(path) == os.getpid()
        with pytest.raises(Busy, match=f"it is in use by process {os.getpid()} "), files.lock(path, "it"):
            pass
    assert files.holder(path) is None


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with files.lock(path, "it"):
            held.set()
            done.wait(LONG)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(LONG)
    with pytest.raises(Busy, match="it is in use"), files.lock(path, "it", wait=0.1):
        pass
    done.set()
    with files.lock(path, "it", wait=LONG):
        pass
    holder.join()


def test_looking_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert files.holder(path) is None, "held, but not by a lock of ours"


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert files.holder(path) == child.pid
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert files.holder(path) is None, "a zombie"
    assert path.read_text(), "it could not tidy up"
    assert files.holder(path) is None


def test_a_number_that_another_process_has_by_now_is_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for text in ("", "garbage", "1 2 3", "-1 x", f"{os.getpid()} 1@other-boot", f"{os.getpid()}", "9" * 40 + " 1"):
        path.write_text(text)
        assert files.holder(path) is None, text
