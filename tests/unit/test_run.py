"""Programs that end with the one that started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from nodisk import run

PARENT = """
import signal, subprocess, sys
from nodisk import run
child = subprocess.Popen(run.tied(["sh", "-c", "echo up; exec sleep 600"], signal.SIGTERM), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_the_words_before_a_program() -> None:
    assert run.tied(["sleep", "1"]) == ["setpriv", "--pdeathsig", "KILL", "sleep", "1"]
    assert run.tied(["sleep"], signal.SIGTERM) == ["setpriv", "--pdeathsig", "TERM", "sleep"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_tied_program_ends_with_its_parent(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert select.select([child], [], [], 0)[0] == [], "it runs as long as its parent does"
            parent.send_signal(how)
            assert select.select([child], [], [], 60)[0] == [child]
        finally:
            os.close(child)
            parent.kill()
