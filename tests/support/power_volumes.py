"""Students' volumes under a power cut: what a program in a volume has synced is in it, and its file system is whole.

They are made, mounted, grown and removed by the module that ``nodisk serve`` uses, and written where NFS would write.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.support.power_said import Said, acknowledge

from nodisk import files, run
from nodisk.errors import NodiskError
from nodisk.state import LabState, State
from nodisk.storage import steps, volumes
from nodisk.storage.disks import Disks
from nodisk.storage.volumes import MIB, Volume

OWNERS = {"id:1": "k8s-jan", "id:2": "k8s-ewa"}
GOES = "id:3"
"""A student who comes and goes: the volume is made and deleted again and again."""
FIRST, STEP, LAST = 16 * MIB, 2 * MIB, 64 * MIB
KEPT = 40
"""Files in a volume; the next one takes the oldest one's name."""


def state_of(disk: Path) -> LabState:
    """A lab of its own on the disk."""
    return State(disk / "volumes").lab("room")


def prepare(disk: Path) -> None:
    """An empty lab."""
    state_of(disk).run.mkdir(parents=True)


def _arrange(state: LabState) -> list[Volume]:
    """What the server does when a record has changed; raises AssertionError for a volume that can't be mounted."""
    wanted, removed = steps.sort(volumes.load_all(state))
    mounted, problems = Disks(state).arrange(wanted, removed)
    assert not problems, problems
    return mounted


def _write(path: Path, content: bytes) -> None:
    """As a careful program writes: the file synced under another name, renamed, and its folder synced."""
    new = path.with_name("new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    files.sync_folder(path.parent)


def write(disk: Path) -> None:
    """Files in volumes that grow meanwhile, until the power is cut; in a mount namespace of its own."""
    state, size = state_of(disk), FIRST
    for turn in itertools.count():
        volumes.ensure(state, "k8s", OWNERS, size)
        acknowledge("coming", "guest")
        there = volumes.ensure(state, "k8s", {GOES: "k8s-guest"}, size) if turn % 2 == 0 else {}
        for volume in _arrange(state):
            acknowledge("volume", volume.name, volume.size)
            for number in range(6):
                name = f"f{(turn * 6 + number) % KEPT}"
                content = random.randbytes(random.randrange(1, 120_000))  # noqa: S311 - bytes, no secret
                acknowledge("begun", volume.name, name, hashlib.sha256(content).hexdigest())
                _write(Disks(state).place(volume) / name, content)
                acknowledge("file", volume.name, name, hashlib.sha256(content).hexdigest())
        if there:
            gone = there[GOES]
            acknowledge("leaving", gone.name)
            volumes.release(state, [gone], keep=False)
            _arrange(state)
            acknowledge("removed", gone.name)
        size = min(size + STEP, LAST)


def judge(disk: Path, said: Said) -> Iterator[str]:
    """Mounts them again as the server does, and reads."""
    state = state_of(disk)
    sizes, files_in, gone = _history(said)
    try:
        found = {volume.name: volume for volume in volumes.load_all(state)}
        wanted, removed = steps.sort(list(found.values()))
        disks = Disks(state)
        mounted, problems = disks.arrange(wanted, removed)
    except NodiskError as error:
        yield f"the volumes' records can't be read: {error}"
        return
    try:
        yield from (f"volume {name} can't be mounted: {why}" for name, why in problems.items())
        there = {volume.name for volume in mounted}
        yield from (f"volume {name} was made, and is gone" for name in sizes if name not in there | set(problems))
        yield from (f"volume {name} was deleted, and is back" for name in there & gone)
        for volume in mounted:
            if volume.name in sizes:
                yield from _contents(disks.place(volume), volume, files_in.get(volume.name, {}))
    finally:
        yield from (f"volume {name} can't be unmounted: {why}" for name, why in disks.close().items())
    for volume in mounted:
        done = run.run(["e2fsck", "-f", "-n", volumes.image(state, volume)], check=False)
        if done.returncode:
            yield f"volume {volume.name} is damaged: {done.stdout}"


def _history(said: Said) -> tuple[dict[str, int], dict[str, dict[str, set[str]]], set[str]]:
    """The sizes of the volumes that must be there, their files' possible contents, and the volumes that must not be."""
    sizes: dict[str, int] = {}
    contents: dict[str, dict[str, set[str]]] = {}
    gone: set[str] = set()
    for what, name, *rest in said:
        if what == "volume":
            sizes[name] = int(rest[0])
        elif what == "begun":
            # Until it is acknowledged, the one before may be there as well, or (of the first one) none.
            contents.setdefault(name, {}).setdefault(rest[0], {""}).add(rest[1])
        elif what == "file":
            contents[name][rest[0]] = {rest[1]}
        elif what == "leaving":
            sizes.pop(name)
            contents.pop(name, None)
        elif what == "removed":
            gone.add(name)
        elif what == "coming":
            gone.clear()  # its next volume may have the same name
    return sizes, contents, gone


def _contents(place: Path, volume: Volume, wanted: dict[str, set[str]]) -> Iterator[str]:
    room = os.statvfs(place)
    if room.f_blocks * room.f_frsize < volume.size:
        yield f"volume {volume.name} holds {room.f_blocks * room.f_frsize} bytes of {volume.size}"
    for name, possible in wanted.items():
        try:
            found = hashlib.sha256((place / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            found = ""
        except OSError as error:
            found = str(error)
        if found not in possible:
            yield f"volume {volume.name}: {name} isn't what was synced ({found or 'absent'})"
