"""Whether a lab's server runs, asked from another process; and telling it to read its files again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

from nodisk.server.database import Database
from nodisk.server.events import Kind
from nodisk.state import LabState

READY = "ready.json"
"""In the lab's run folder while everything answers machines; after ``kill -9`` a stale one may be left."""


def pid(state: LabState) -> int | None:
    """The process of the lab's server if it is ready; None otherwise."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        number = int(json.loads((state.run / READY).read_text())["pid"])
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        return number if b"serve" in words else None
    return None


def reload(state: LabState) -> bool:
    """Have the server read lab.yaml and the PKI again (SIGHUP); returns whether one runs."""
    number = pid(state)
    if number is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGHUP)
        return True
    return False


def record(state: LabState, text: str) -> None:
    """Add a sentence to the lab's events."""
    with Database(state.database) as database:
        database.record(Kind.DAEMON, text, source="nodisk")
