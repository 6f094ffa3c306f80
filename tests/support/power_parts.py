"""The parts of a server whose power is cut; a writer alone: ``python -m tests.support.power_parts PART NAME DISK``."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.support import power_judge, power_served, power_volumes, power_writers
from tests.support.power_said import Said

Writer = Callable[[Path], None]
"""Gets the disk's folder; ends when it can't go on."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that writes, and what must hold afterwards."""

    prepare: Callable[[Path], None]
    """Makes what is there before; it is synced then."""
    writers: Mapping[str, Writer]
    running: Callable[[Path], AbstractContextManager[tuple[str, ...]]]
    """What runs while they write; yields the words before a writer's command."""
    judge: Callable[[Path, dict[str, Said]], Iterable[str]]
    """What is wrong, a sentence each, with what the part's writers said by name."""
    longest: float
    """Seconds after which the power is cut at the latest, counted from when all write."""


@contextlib.contextmanager
def _files(_: Path) -> Iterator[tuple[str, ...]]:
    yield ()


@contextlib.contextmanager
def _volumes(_: Path) -> Iterator[tuple[str, ...]]:
    """Its mounts end with the writer: a loop device would hold the disk that was cut."""
    yield ("unshare", "--mount", "--propagation", "private")


@contextlib.contextmanager
def _served(disk: Path) -> Iterator[tuple[str, ...]]:
    with power_served.served(disk) as room:
        yield ("ip", "netns", "exec", f"{room.name}-{power_served.MACHINE}")


@contextlib.contextmanager
def _first_start(disk: Path) -> Iterator[tuple[str, ...]]:
    with power_served.served(disk / "first", wait=False):
        yield ()


PARTS = {
    # A backup takes five to ten seconds.
    "files": Part(power_writers.prepare, power_writers.WRITERS, _files, power_judge.judge, 20.0),
    "volumes": Part(
        power_volumes.prepare,
        {"volumes": power_volumes.write},
        _volumes,
        lambda disk, said: power_volumes.judge(disk, said["volumes"]),
        10.0,
    ),
    "served": Part(
        power_served.prepare,
        {
            "etcd": power_served.write_etcd,
            "enrolments": power_served.write_enrolments,
            "nfs": power_served.write_nfs,
        },
        _served,
        power_served.judge,
        10.0,
    ),
    # Keys are made, etcd and the registry begin: nothing is acknowledged yet, and all of it must work in the end.
    "first-start": Part(
        lambda disk: power_served.prepare(disk / "first", keys=False),
        {},
        _first_start,
        lambda disk, _: power_served.judge(disk / "first", {"etcd": [], "enrolments": [], "nfs": []}),
        12.0,
    ),
}


if __name__ == "__main__":
    try:
        PARTS[sys.argv[1]].writers[sys.argv[2]](Path(sys.argv[3]))
    except Exception:  # the disk is gone, or something went wrong before: a machine's console shows it
        traceback.print_exc()
