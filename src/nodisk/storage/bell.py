"""How writers of volume records notify the running server: a FIFO in the lab's run folder.

The records are written by other processes (``nodisk class``), which share nothing with the server but its folders. A
FIFO needs no library, keeps a notification until it is read, and costs a writer nothing if no server runs. SIGHUP would
reload the whole server. If a writer is killed before it notifies, the server's slow polling still finds the change.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from nodisk.state import LabState

NAME = "storage.bell"


def _path(state: LabState) -> Path:
    return state.run / NAME


def ring(state: LabState) -> None:
    """Tell the server that a record has changed. A server that starts later reads the records anyway."""
    with contextlib.suppress(OSError):  # none is there, none reads it (ENXIO), or it is full of rings (EAGAIN)
        bell = os.open(_path(state), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(bell, b"!")
        finally:
            os.close(bell)


@contextlib.contextmanager
def heard(state: LabState, then: Callable[[], None]) -> Iterator[None]:
    """Call ``then`` in the running loop after each notification, or once after several."""
    path = _path(state)
    path.unlink(missing_ok=True)  # of a server that was killed
    os.mkfifo(path, 0o600)
    bell = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # a writer of its own: so a ring's end is no end of file

    def on_ring() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(bell, 4096)
        then()

    loop = asyncio.get_running_loop()
    loop.add_reader(bell, on_ring)
    try:
        yield
    finally:
        loop.remove_reader(bell)
        os.close(bell)
        path.unlink(missing_ok=True)
