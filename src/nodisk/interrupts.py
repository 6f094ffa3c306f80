"""Ctrl-C, an ordinary ``kill`` and a closed terminal: a command cleans up, and its exit status says which it was.

Each becomes Python's KeyboardInterrupt. A second Ctrl-C ends the process at once, because cleaning up may need an API
that doesn't answer. Every command imports this module, so it imports little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import asyncio

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3
"""Seconds of cleaning up after which the user is told that a second Ctrl-C ends it."""
children: set[subprocess.Popen[bytes]] = set()
"""The programs for which ``run.run`` is waiting, in any thread."""
_received: list[int] = []


def install() -> None:
    """Handle the three from now on; one that is ignored (nohup) stays so."""
    for number in ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)


def uninstall() -> None:
    """Let all three end the process at once, until it has handlers of its own."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def came() -> bool:
    """Whether one of them has arrived."""
    return bool(_received)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """While modules are imported, end the process at once: there is nothing to clean up yet.

    An exception would be lost where it comes in one of the import system's own callbacks, and the command would go on;
    or what was being imported would turn it into an error of its own (a class's ``__set_name__`` does, and pydantic).
    """
    ours = [number for number in ENDING if signal.getsignal(number) is _end]
    for number in ours:
        signal.signal(number, _end_at_once)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, _end)


@contextlib.contextmanager
def cancelling(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> Iterator[None]:
    """While asyncio runs, cancel a task instead of raising an exception in the middle of the loop's work."""

    def cancel(number: int) -> None:
        if _is_first(number):
            task.cancel()

    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextlib.contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """While it lasts, Ctrl-C raises nothing; what is yielded says whether it came. ``kill`` ends as ever."""
    came_now: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, _: came_now.append(number))
    try:
        yield lambda: bool(came_now)
    finally:
        signal.signal(signal.SIGINT, before)


def leave() -> NoReturn:
    """End the process with the status that a shell gives for the signal, without waiting for threads.

    Otherwise a thread that waits for an answer could delay the end. Cleaning up is already done at this point.
    """
    _end_children()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(128 + (_received[0] if _received else signal.SIGINT))


def _end(number: int, _: FrameType | None) -> None:
    if _is_first(number):
        _end_children()  # a terminal's Ctrl-C reaches them as well; the others reach this process alone
        raise KeyboardInterrupt


def _end_at_once(number: int, _: FrameType | None) -> None:
    _received.append(number)
    _tell(b"\ninterrupted\n")
    leave()


def _is_first(number: int) -> bool:
    """Handle a signal; a second Ctrl-C doesn't return.

    Other repeated signals change nothing: a terminal that closes signals twice.
    """
    again = came()
    _received.append(number)
    if number == signal.SIGHUP:
        _leave_terminal()
    if again and number == signal.SIGINT:
        _tell(b"\ninterrupted again: it is left as it is\n")
        leave()
    if not again:
        signal.signal(signal.SIGALRM, lambda *_: _tell(b"\ntidying up; Ctrl-C again ends it where it is\n"))
        signal.alarm(PATIENCE)
    return not again


def _tell(words: bytes) -> None:
    """Write past Python's buffers, which the interrupted code may be using."""
    with contextlib.suppress(OSError):
        os.write(2, words)


def _leave_terminal() -> None:
    """Writing to a closed terminal fails, and must not break cleaning up."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def _end_children() -> None:
    for child in tuple(children):
        with contextlib.suppress(OSError):
            child.terminate()
