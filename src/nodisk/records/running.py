"""Whether a lab's server runs, asked from another process; and telling it to read its files again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
from pathlib import Path

from nodisk.context import with_own_key
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.model import Lab
from nodisk.state import LabState, State

READY = "ready.json"
"""In the lab's run folder while everything answers machines; after ``kill -9`` a stale one may be left."""

LOCK = "serve.lock"
"""In the run folder too; the server holds it from its start to its end."""


def process(state: LabState) -> int | None:
    """The process of the lab's server, also while it starts or stops; None: none runs."""
    try:
        with (state.run / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None


def pid(state: LabState) -> int | None:
    """The process of the lab's server if it is ready; None otherwise."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        number = int(json.loads((state.run / READY).read_text())["pid"])
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        return number if b"serve" in words else None
    return None


def plan(state: LabState, lab: Lab) -> str:
    """A digest of what a server that starts now would serve: lab.yaml as it was read, and what was built for it."""
    digest = hashlib.sha256(with_own_key(lab, state).model_dump_json().encode())
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        made = json.loads((state.root / "built.json").read_text())["assets"]
        for _, asset in sorted(made.items()):
            # Built anew from the same inputs, an asset has the same id and other files.
            manifest = json.loads((state.state.assets / "manifests" / f"{asset}.json").read_text())
            digest.update(json.dumps([asset, manifest["files"], manifest["facts"]], sort_keys=True).encode())
    return digest.hexdigest()


def serves(state: LabState) -> tuple[float, str] | None:
    """Since when (seconds since 1970) the server answers, and the digest of what it serves; None if it doesn't."""
    if pid(state) is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        ready = json.loads((state.run / READY).read_text())
        return float(ready["since"]), str(ready["plan"])
    return None


def objects(state: State) -> set[str]:
    """Names of the store's folders that servers on this host are reading; after a build not only those of the last."""
    found: set[str] = set()
    for folder in state.labs.glob("*/"):
        lab = state.lab(folder.name)
        if pid(lab) is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found |= set(json.loads((lab.run / READY).read_text())["objects"])
    return found


def is_stale(state: LabState, lab: Lab) -> bool:
    """Whether a server runs that does not serve what lab.yaml and the store have by now."""
    found = serves(state)
    return found is not None and found[1] != plan(state, lab)


def reload(state: LabState) -> bool:
    """Have the server read lab.yaml and the PKI again (SIGHUP); returns whether one runs."""
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
    """Add a sentence to the lab's events."""
    with Database(state.database) as database:
        database.record(Kind.DAEMON, text, source="nodisk")
