"""The record of a virtual lab that runs: ``run/virtual.json`` of its state, read and written here alone.

It lies below ``context``, because every command finds by it the lab that is meant, and the namespace to reach it in.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nodisk import files
from nodisk.state import LabState, State


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


def file_of(state: LabState) -> Path | None:
    """The lab.yaml of the virtual lab that runs."""
    record = read(state)
    return None if record is None else Path(record.file)


def running(state: State) -> dict[str, Record]:
    """The virtual labs that run on this host, by name."""
    found = {lab.name: read(lab) for lab in state.each_virtual()}
    return {name: record for name, record in found.items() if record is not None}
