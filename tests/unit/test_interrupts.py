"""Ctrl-C, ``kill`` and a closed terminal end any command: tidied up, at once, with a status that says which."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.asleep import until_asleep
from tests.support.waits import LONG, until

COMMAND = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from nodisk import cli, interrupts, run

interrupts.PATIENCE = 600  # so that a busy host, which takes longer than three seconds, is told nothing else

def command(**_):
    pool = ThreadPoolExecutor()
    pool.submit(run.run, ["sleep", sys.argv[1]])  # a program that would not end
    pool.submit(time.sleep, 600)                  # an answer that does not come
    try:
        time.sleep(600)
    finally:
        print("tidying up", flush=True)
        time.sleep(float(sys.argv[3]))
        print("tidied up", flush=True)
        open(sys.argv[2], "w").close()

cli.nodisk.main = command
cli.main([])
"""
MARK = f"86400.{os.getpid()}"


def left() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"sleep") and MARK.encode() in words:
            found.append(str(path))
    return found


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_a_command_tidies_up_and_ends(number: signal.Signals, status: int, tmp_path: Path) -> None:
    done = tmp_path / "done"
    argv = [sys.executable, "-c", COMMAND, MARK, str(done), "0.5"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stderr
        until(left, why=left)
        until_asleep(child.pid)
        child.send_signal(number)
        assert child.stdout.readline() == "tidying up\n"
        if number != signal.SIGINT:  # a terminal that closes says so twice
            child.send_signal(number)
        out, err = child.stdout.read(), child.stderr.read()
    assert child.returncode == status
    assert out == "tidied up\n"
    assert err == "\ninterrupted\n"
    assert done.exists()
    until(lambda: not left(), why=left)


def test_a_second_ctrl_c_ends_it_where_it_is(tmp_path: Path) -> None:
    done = tmp_path / "done"
    argv = [sys.executable, "-c", COMMAND, MARK, str(done), "600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stderr
        until(left, why=left)
        until_asleep(child.pid)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "tidying up\n"
        until_asleep(child.pid)
        child.send_signal(signal.SIGINT)
        err = child.stderr.read()
    assert child.returncode == 130
    assert err.endswith("\ninterrupted again: it is left as it is\n")
    assert not done.exists()
    until(lambda: not left(), why=left)


def test_an_error_of_the_tidying_up_is_told_and_the_status_stays() -> None:
    code = (
        "import os, signal; from nodisk import cli, errors\n"
        "def command(**_):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally: raise errors.NodiskError('the API is away')\n"
        "cli.nodisk.main = command; cli.main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LONG)
    assert (done.returncode, done.stderr) == (143, "error: the API is away\n\ninterrupted\n")


def test_a_terminal_that_closes_does_not_break_the_tidying_up(tmp_path: Path) -> None:
    done = tmp_path / "done"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", COMMAND, MARK, str(done), "0.5"])  # noqa: S606
    until(left, why=left)
    until_asleep(pid)
    os.close(terminal)  # the kernel sends SIGHUP
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert done.exists()
    until(lambda: not left(), why=left)


@pytest.mark.parametrize(
    "where",
    ["ref = weakref.ref(thing := set(), lambda _: stop()); del thing", "class _:\n    name = Told()"],
    ids=["a callback", "a class"],
)
def test_amid_an_import_it_ends_at_once(where: str, tmp_path: Path) -> None:
    """Python loses an exception in such a callback, and makes a RuntimeError of one in ``__set_name__``."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, weakref\n"
        "def stop(): os.kill(os.getpid(), signal.SIGINT)\n"
        "class Told:\n    def __set_name__(self, *_): stop()\n"
        f"{where}\n"
        "def command(): print('went on')\n"
    )
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from nodisk import cli\n"
        "cli.COMMANDS['slow'] = ('slow:command', ''); cli.main(['slow'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LONG)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\ninterrupted\n")


def test_nohup_is_kept() -> None:
    code = (
        "from signal import *; from nodisk import interrupts; interrupts.install(); print(getsignal(SIGHUP) == SIG_IGN)"
    )
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "True\n"
