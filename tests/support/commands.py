"""nodisk's commands as processes of their own, without the second that each would take to import nodisk.

A fork of a process that has imported it does what ``python -m nodisk WORDS`` does from there on, by the same
``__main__``: arguments, environment, folder, namespace, output and exit status are the command's own.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import forker
from tests.support.waits import LONG

from nodisk.errors import CommandFailed

_BEGAN = dict(os.environ)
_READ_BY_IMPORTS = ("PATH", "TZ", "LANG", "LC_", "PYTHON")
"""Variables of the environment whose change comes too late for what is imported already."""
_starting = threading.Lock()


def call(
    words: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    netns: str = "",
    module: str = "nodisk",
    answer: str = "",
    timeout: float = 300,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """``nodisk WORDS`` (or another ``module`` of it) to its end, and what it printed.

    ``env``: all of its environment; None: this process's. ``answer``: what it reads from its standard input. Raises
    subprocess.TimeoutExpired, and with ``check`` CommandFailed as ``run.run`` does.
    """
    argv = [sys.executable, "-m", module, *map(str, words)]
    wanted = dict(os.environ if env is None else env)
    if any(wanted.get(key) != _BEGAN.get(key) for key in wanted.keys() | _BEGAN if key.startswith(_READ_BY_IMPORTS)):
        inside = ["ip", "netns", "exec", netns] if netns else []
        done = subprocess.run(
            [*inside, *argv], cwd=cwd, env=wanted, input=answer, text=True, capture_output=True, check=False,
            timeout=timeout,
        )  # fmt: skip
    else:
        request = {"module": module, "words": argv[3:], "cwd": str(cwd or Path.cwd()), "env": wanted, "netns": netns}
        done = subprocess.CompletedProcess(argv, *_forked(request, answer, timeout))
    if check and done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout)
    return done


def _forked(request: Mapping[str, object], answer: str, timeout: float) -> tuple[int, str, str]:
    """Exit status, output, errors."""
    with contextlib.ExitStack() as stack:
        given, printed, complained = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(answer.encode())
        given.seek(0)
        near, far = socket.socketpair()
        stack.enter_context(near)
        with far:
            stdio = (given.fileno(), printed.fileno(), complained.fileno())
            with _starting:
                control = _forker()
            socket.send_fds(control, [json.dumps(request).encode()], [far.fileno(), *stdio])
        near.settimeout(LONG)
        told = stack.enter_context(near.makefile())
        pid = int(told.readline())  # the first one waits for the imports, and that is no time of the command's
        near.settimeout(timeout)
        try:
            status = int(told.readline())
        except BaseException as error:
            os.kill(pid, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired(str(request["words"]), timeout) from error
            raise
        texts = []
        for file in (printed, complained):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        return os.waitstatus_to_exitcode(status), texts[0], texts[1]


@functools.cache
def _forker() -> socket.socket:
    """The other end of the one of this process; it ends with it."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        process = subprocess.Popen(
            [sys.executable, "-P", str(forker.__file__)], stdin=far.fileno(), stdout=subprocess.DEVNULL, env=_BEGAN,
            start_new_session=True,
        )  # fmt: skip

    def end() -> None:
        near.close()
        process.wait()

    atexit.register(end)
    return near
