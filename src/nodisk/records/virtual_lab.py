"""Whether a lab is virtual: the record of a running one, and what its state says about the last server.

The record is ``run/virtual.json``; the context of every command reads it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nodisk import files
from nodisk.records import host
from nodisk.state import LabState

BRIDGE = "lab0"
"""The bridge of a virtual lab, which holds its server's address."""


@dataclass(frozen=True, slots=True)
class Record:
    """A virtual lab as it was started."""

    file: str
    """Its lab.yaml."""
    netns: str
    """The network namespace in which its addresses are reached."""
    interface: str
    """The bridge that holds the server's address."""
    api_port: int
    """127.0.0.1's port that leads to the cluster's API."""
    http_port: int
    """127.0.0.1's port that leads to the server's plain HTTP."""


def read(state: LabState) -> Record | None:
    """The record; None: no virtual lab of that name runs."""
    try:
        return Record(**json.loads(state.virtual.read_text()))
    except FileNotFoundError:
        return None


def write(state: LabState, record: Record) -> None:
    """Record that the lab runs."""
    files.write(state.virtual, json.dumps(asdict(record), indent=1) + "\n")


def remove(state: LabState) -> None:
    """Remove the record."""
    state.virtual.unlink(missing_ok=True)


def note_emulated(state: LabState, *, yes: bool) -> None:
    """Record whether QEMU translates the machines' instructions, before the server of a virtual lab starts."""
    if yes:
        files.write(state.emulated, "")
    else:
        state.emulated.unlink(missing_ok=True)


def emulated(state: LabState) -> bool:
    """Whether QEMU translates the machines' instructions; False in a real room."""
    return state.emulated.exists()


def file_of(state: LabState) -> Path | None:
    """The lab.yaml of the virtual lab that runs."""
    record = read(state)
    return None if record is None else Path(record.file)


def room_interface(state: LabState) -> str | None:
    """The interface on which a real room's server last used this state; None for a virtual lab or new state.

    A state that was restored from a backup is new: no server of this host has used it.
    """
    # A server writes what it finds of the host, then etcd makes its own folder.
    if not state.host.exists() or not (state.etcd / "member").exists():
        return None
    found = host.read(state.host)
    interface = "unknown" if found is None else found.interface
    return None if interface == BRIDGE else interface
