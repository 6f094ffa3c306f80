"""A class's storage: for each student a volume on the server (``manifests.storage`` leads to it)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodisk import files
from nodisk.classes.manifests import CLASS, STUDENT
from nodisk.classes.record import Account, Class
from nodisk.classes.sizes import amount
from nodisk.errors import NodiskError, TimedOut, UsageError
from nodisk.kube.client import Client
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.records import running
from nodisk.state import LabState
from nodisk.storage import filesystem, volumes
from nodisk.storage.volumes import SMALLEST, Volume
from nodisk.waiting import Deadline

GIB = 1024**3
SERVED_WITHIN = 60.0


def size_of(text: str) -> int:
    """``2Gi`` → bytes; raises UsageError."""
    try:
        size = int(amount(text))
    except ValueError as error:
        raise UsageError(f"--storage: {error}") from error
    if size < SMALLEST:
        raise UsageError(f"--storage {text} is too small: use at least 16Mi")
    return size


@dataclass(frozen=True, slots=True)
class Room:
    """What a class's storage asks of the server's disk; bytes."""

    students: int
    each: int
    needed: int
    """What is promised and not yet used, to all volumes of the lab and those to come."""
    free: int

    def __str__(self) -> str:
        return (
            f"storage: {self.students} × {words(self.each)}; including allocations not used yet, "
            f"{words(self.needed)}; the server's disk has {words(self.free)} free"
        )

    @property
    def short(self) -> bool:
        """Whether the disk would be full before every student's share is."""
        return self.needed > self.free

    def refuse(self) -> None:
        """Raise UsageError if it doesn't fit."""
        if self.short:
            raise UsageError(str(self), hint="choose a smaller --storage, a larger disk, or --overcommit")


def room(state: LabState, record: Class) -> Room | None:
    """The arithmetic of the server's disk; None: the class has no storage."""
    if record.storage is None:
        return None
    size = size_of(record.storage)
    known = {(v.class_name, v.key): v for v in volumes.load_all(state) if v.state != "removed"}
    wanted = {(record.name, student.key): size for student in record.students}
    needed = 0
    for owner in known.keys() | wanted.keys():
        promised = max(wanted.get(owner, 0), known[owner].size if owner in known else 0)
        needed += filesystem.file_size(promised) - (used(state, known[owner]) if owner in known else 0)
    return Room(len(record.students), size, needed, shutil.disk_usage(files.nearest(state.root)).free)


def used(state: LabState, volume: Volume) -> int:
    """Bytes that the volume takes on the server's disk; 0: it isn't made yet."""
    try:
        return volumes.image(state, volume).stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def refuse_smaller(state: LabState, record: Class, students: Sequence[Account]) -> None:
    """Raise UsageError if one of the students has more storage than the class would give them, also if it was kept."""
    if record.storage is None:
        return
    known = volumes.of_class(state, record.name)
    for volume in (known[student.key] for student in students if student.key in known):
        if volume.size > size_of(record.storage):
            raise UsageError(
                f"{volume.name} already has {words(volume.size)}, and a volume can't shrink",
                hint="use at least the previous --storage; delete a kept volume with nodisk class storage --remove",
            )


def provide(state: LabState, record: Class, students: Sequence[Account]) -> dict[str, Volume]:
    """Student's key → volume that is served; empty: the class has no storage. Waits for the server if it runs."""
    if record.storage is None:
        return {}
    owners = {student.key: record.namespace(student) for student in students}
    found = volumes.ensure(state, record.name, owners, size_of(record.storage))
    if running.pid(state) is not None:
        # A disk image is made in a fraction of a second.
        volumes.wait(state, found.values(), seconds=SERVED_WITHIN + len(found))
    return found


def detach(client: Client, record: Class, students: Sequence[Account] | None, *, limit: float) -> None:
    """Delete PersistentVolumes whose namespaces are gone (None: of the whole class), and wait until none is left."""
    labels = f"{CLASS}={record.name}"
    if students is not None:
        if not students:
            return
        labels += f",{STUDENT} in ({','.join(student.label for student in students)})"
    deadline = Deadline(limit)
    while found := client.list("v1", "PersistentVolume", labels=labels, metadata_only=True):
        names = [volume["metadata"]["name"] for volume in found]
        all_or_raise(in_parallel(lambda name: client.delete("v1", "PersistentVolume", name), names))
        if not deadline.pause(0.1):
            raise TimedOut(f"PersistentVolumes are still there after {limit:g} s: {', '.join(names)}")


def release(
    state: LabState, record: Class, students: Sequence[Account] | None, *, keep: bool, wait: bool = True
) -> None:
    """End the export of students' volumes (None: of all of the class) and keep or delete what is in them.

    ``wait``: until the server, if it runs, has done so.
    """
    known = volumes.of_class(state, record.name)
    _end(state, [v for k, v in known.items() if students is None or any(k == s.key for s in students)], keep, wait)


def _end(state: LabState, chosen: Sequence[Volume], keep: bool, wait: bool) -> None:
    volumes.release(state, chosen, keep=keep)
    if wait and running.pid(state) is not None:
        ended = [volume.model_copy(update={"state": "kept" if keep else "removed"}) for volume in chosen]
        volumes.wait(state, ended, seconds=SERVED_WITHIN)


def remove_kept(state: LabState, names: Sequence[str]) -> None:
    """Delete volumes that were kept; raises UsageError for one that is unknown or in use."""
    known = {volume.name: volume for volume in volumes.load_all(state)}
    for name in names:
        if name not in known or known[name].state != "kept":
            raise UsageError(
                f"{name}: " + ("a student uses it" if name in known else "no such volume"),
                hint="list volumes with nodisk class storage; remove a student with nodisk class remove NAME STUDENT",
            )
    _end(state, [known[name] for name in names], keep=False, wait=True)
    if running.pid(state) is None:
        raise NodiskError("the lab's server is not running; it will delete them when it starts")


def rows(state: LabState) -> list[dict[str, Any]]:
    """All volumes, as ``nodisk class storage`` prints them; bytes."""
    return [
        {"volume": v.name, "class": v.class_name, "size": v.size, "on_disk": used(state, v), "state": v.state}
        for v in volumes.load_all(state)
    ]


def table(state: LabState, record: Class) -> dict[str, str] | None:
    """Student's key → size and what of it is used, in words; None: the class has no storage."""
    if record.storage is None:
        return None
    return {key: f"{words(v.size)}, {words(used(state, v))} on disk" for key, v in held(state, record).items()}


def words(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / volumes.MIB:.0f} MiB"


def held(state: LabState, record: Class) -> Mapping[str, Volume]:
    """Student's key → volume that the class uses, as recorded; empty: it has no storage."""
    known = volumes.of_class(state, record.name) if record.storage is not None else {}
    return {key: volume for key, volume in known.items() if volume.state == "exported"}


def kept(state: LabState, record: Class) -> int:
    """How many volumes of the class, or of one that had its name, are kept."""
    return sum(volume.state == "kept" for volume in volumes.of_class(state, record.name).values())
