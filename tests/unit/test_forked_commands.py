"""Tests call nodisk by a fork (tests/support/commands.py): it is what ``python -m nodisk`` is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.waits import until
from tests.unit.spec.labs import TEN_LINES


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("class", "list"), ""),
        (("class", "show", "nobody"), ""),
        (("frobnicate",), ""),
        (("butane",), "variant: fcos\nversion: 1.5.0\nłan: 1\n"),
        (("pki", "rotate"), "n\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_same_as_a_process_of_its_own(tmp_path: Path, words: tuple[str, ...], answer: str) -> None:
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    argv = [sys.executable, "-m", "nodisk", *words]
    env = {**os.environ, "NODISK_STATE": str(tmp_path / "state")}
    alone = subprocess.run(
        argv, cwd=tmp_path, env=env, input=answer, text=True, capture_output=True, check=False, timeout=120
    )
    assert alone.stdout + alone.stderr
    forked = commands.call(words, cwd=tmp_path, env=env, answer=answer)
    assert (forked.returncode, forked.stdout, forked.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_what_imports_read_comes_from_the_environment_that_is_asked_for(tmp_path: Path) -> None:
    """Too late for a fork: a process of its own then."""
    done = commands.call(["--version"], env={**os.environ, "PYTHONHOME": str(tmp_path)})
    assert "No module named 'encodings'" in done.stderr


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    fifo = tmp_path / "config.bu"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)  # so that there always is somebody who may write yet
    with pytest.raises(subprocess.TimeoutExpired):
        commands.call(["butane", fifo], timeout=0.5)
    os.close(writer)

    def unread() -> bool:
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return True
        return False

    until(unread)
