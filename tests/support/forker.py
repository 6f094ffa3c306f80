"""A process that has imported all of nodisk, and forks itself into a command for whoever asks: see ``commands``.

On the socket that is its standard input it takes requests, one a message: JSON (``module``, ``words``, ``cwd``,
``env``, ``netns``) with four descriptors: where to answer, and the command's stdin, stdout and stderr. The answer is
the command's process id, and when it has ended its wait status, a line each. It ends when nobody holds the socket's
other end any more.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import nodisk

MOST = 200_000
"""Bytes of a request: its words and its environment."""
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_RDONLY, _MS_REC, _MS_SLAVE, _MNT_DETACH = 1, 0x4000, 0x80000, 2


def main() -> None:
    """Import everything, and fork."""
    for found in pkgutil.walk_packages(nodisk.__path__, "nodisk."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who attend
    while True:
        request, given, _, _ = socket.recv_fds(control, MOST, 4)
        if not request:
            return
        if os.fork() == 0:
            attend(json.loads(request), *given)
            return
        for descriptor in given:
            os.close(descriptor)


def attend(request: dict[str, Any], answer: int, *stdio: int) -> None:
    """One command: become it, or wait for it and tell. Whoever became it comes back with an exception, as it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command == 0:
        become(request, stdio)
    os.write(answer, b"%d\n" % command)
    _, status = os.waitpid(command, 0)
    os.write(answer, b"%d\n" % status)
    os._exit(0)


def become(request: dict[str, Any], stdio: Sequence[int]) -> NoReturn:
    """What ``python -m MODULE WORDS`` is in that folder, environment and namespace; never returns."""
    for there, descriptor in enumerate(stdio):
        os.dup2(descriptor, there)
    os.closerange(3, 4096)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if request["netns"]:
        enter(request["netns"])
    module = request["module"]
    sys.modules.pop(module, None)
    sys.argv = [module, *request["words"]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        raise SystemExit(0)
    except SystemExit as end:
        leave(end)
        raise


def leave(end: SystemExit) -> None:
    """Exit without taking all modules to pieces, which costs more than most commands; where threads run, do nothing."""
    if threading.active_count() > 1 or not isinstance(end.code, int | None):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter does
    with contextlib.suppress(ValueError):  # stderr is closed after a broken pipe
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(end.code or 0)


def enter(netns: str) -> None:
    """As ``ip netns exec`` does: the namespace, and a /sys that shows its interfaces."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), name)

    with (Path("/run/netns") / netns).open() as file:
        call("setns", file.fileno(), _CLONE_NEWNET)
    call("unshare", _CLONE_NEWNS)
    call("mount", b"", b"/", b"none", ctypes.c_ulong(_MS_SLAVE | _MS_REC), None)
    flags = _MS_RDONLY if os.statvfs("/sys").f_flag & os.ST_RDONLY else 0
    call("umount2", b"/sys", _MNT_DETACH)
    call("mount", netns.encode(), b"/sys", b"sysfs", ctypes.c_ulong(flags), None)


if __name__ == "__main__":
    main()
