"""Whether a lab's server runs, and what it serves: written by the server, and read by others without blocking it; and
telling it to reload its files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from nodisk import files
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.state import LabState, State

LOCK = "serve.lock"
"""In the lab's run folder; the server holds it from its start to its end."""
READY = "ready.json"
"""In the run folder too, while everything answers machines; after ``kill -9`` a stale one may be left."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a server records once everything answers machines."""

    pid: int
    since: float
    """Seconds since 1970."""
    server: str
    """Its address."""
    plan: str
    """A digest of what it serves (``assets.built.fingerprint``)."""
    objects: tuple[str, ...]
    """Names of the store's folders that it reads."""
    daemons: dict[str, int]
    """Name → process."""


def announce(state: LabState, ready: Ready) -> None:
    """Record that everything answers machines."""
    files.write(state.run / READY, json.dumps(asdict(ready), indent=1) + "\n")


def withdraw(state: LabState) -> None:
    """Record that it no longer does."""
    (state.run / READY).unlink(missing_ok=True)


def process(state: LabState) -> int | None:
    """The process of the lab's server, also while it starts or stops; None: none runs."""
    return files.holder(state.run / LOCK)


def ready(state: LabState) -> Ready | None:
    """What the running server has recorded; None if none runs, or it isn't ready."""
    runs = process(state)
    if runs is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((state.run / READY).read_text(encoding="utf-8"))
        found = Ready(
            pid=int(said["pid"]),
            since=float(said["since"]),
            server=str(said["server"]),
            plan=str(said["plan"]),
            objects=tuple(map(str, said["objects"])),
            daemons={str(name): int(number) for name, number in said["daemons"].items()},
        )
        return found if found.pid == runs else None
    return None


def pid(state: LabState) -> int | None:
    """The process of the lab's server if it is ready; None otherwise."""
    found = ready(state)
    return None if found is None else found.pid


def objects(state: State) -> set[str]:
    """Names of the store's folders that servers on this host are reading, which may be older than the latest build."""
    found = (ready(state.lab(Path(folder).name)) for folder in state.labs.glob("*/"))
    return {name for one in found if one is not None for name in one.objects}


def is_stale(state: LabState, plan: str) -> bool:
    """Whether a running server serves something other than ``plan``, which is what lab.yaml and the store have now."""
    found = ready(state)
    return found is not None and found.plan != plan


def reload(state: LabState) -> bool:
    """Make the server reload lab.yaml and the PKI (SIGHUP); return whether one runs."""
    number = pid(state)
    if number is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGHUP)
        return True
    return False


def reload_self() -> None:
    """The same, asked by the server itself."""
    os.kill(os.getpid(), signal.SIGHUP)


def record(state: LabState, text: str) -> None:
    """Add an event with this sentence."""
    with Database(state.database) as database:
        database.record(Kind.DAEMON, text, source="nodisk")
