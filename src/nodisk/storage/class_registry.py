"""The class registry's file system: as large as lab.yaml says, and all of it taken from the server's disk beforehand.

::

    STATE/labs/LAB/class-registry.img       the file, with a file system that holds ``size``
    STATE/labs/LAB/class-registry.growing   it is being enlarged, or that was interrupted and will be done again
    STATE/labs/LAB/class-registry/          where it is mounted while the server runs
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from nodisk import files
from nodisk.errors import EnvironmentProblem
from nodisk.state import LabState
from nodisk.storage import filesystem
from nodisk.storage.filesystem import FileSystem
from nodisk.values import Size

SPARE = 3 << 30
"""Bytes of the disk that are left to etcd, which may take 2 GiB, and the rest when the file is made or enlarged."""


@dataclass(frozen=True, slots=True)
class Room:
    """What lab.yaml's ``size`` asks of the server's disk. Sizes of files, in bytes."""

    size: Size
    """What lab.yaml says."""
    there: int
    """The file that there is; 0: none yet."""
    taken: int
    """What of it the disk has given."""
    free: int
    """What the disk has left."""

    @property
    def wanted(self) -> int:
        """The file that there should be: it never shrinks."""
        return max(filesystem.file_size(self.size.bytes), self.there)

    @property
    def has(self) -> Size:
        """How much the file that there is holds."""
        return Size(filesystem.capacity(self.there))

    @property
    def smaller(self) -> bool:
        """Whether ``size`` is less than there is."""
        return filesystem.file_size(self.size.bytes) < self.there

    @property
    def short(self) -> bool:
        """Whether the disk can't give what is still missing."""
        missing = self.wanted - self.taken
        return missing > 0 and missing + SPARE > self.free

    @property
    def outcome(self) -> Size:
        """How much it holds once it is mounted."""
        return self.has if self.problem else self.size

    @property
    def problem(self) -> str:
        """What is wrong, and what happens instead; '' for nothing."""
        if self.smaller:
            return f"it has {self.has} and can't shrink to {self.size}: it stays as it is"
        if not self.short:
            return ""
        missing, free = f"{(self.wanted - self.taken) / 2**30:.1f}", f"{self.free / 2**30:.1f}"
        text = f"{self.size} takes {missing} GiB of the server's disk, which has {free} and must keep {SPARE >> 30}"
        return f"{text}: it stays at {self.has}" if self.there else text


def file_system(state: LabState) -> FileSystem:
    """The registry's.

    Students' volumes are sparse: there are many, each hardly used, and what all of them may take is weighed before a
    class is made. This is one, which anybody of a class can fill within minutes. So it has its blocks from the start:
    then no push takes room from etcd, and whatever else fills the disk breaks no push.
    """
    return FileSystem(state.root / "class-registry.img", reserved=True)


def look(state: LabState, size: Size) -> Room:
    """How things are now."""
    free = shutil.disk_usage(files.nearest(state.root)).free
    try:
        found = file_system(state).file.stat()
    except FileNotFoundError:
        return Room(size, 0, 0, free)
    return Room(size, found.st_size, found.st_blocks * 512, free)


def mount(state: LabState, size: Size) -> Room:
    """Make, enlarge and mount it; returns how things were. What can't be enlarged is mounted as it is.

    Raises EnvironmentProblem where there is none and the disk has no room for it, OSError, and NodiskError of the
    programs that do it.
    """
    room, found = look(state, size), file_system(state)
    if room.short and not room.there:
        raise EnvironmentProblem(room.problem)
    if problem := filesystem.unmount(state.class_registry):  # a server that was killed has left it, or a sweep goes on
        if room.wanted > room.there:
            raise EnvironmentProblem(problem)
        return room
    if not room.short:
        found.provide(room.wanted)
    found.mount(state.class_registry)
    return room


def unmount(state: LabState) -> str:
    """Unmount it; returns why that failed, or ''."""
    return filesystem.unmount(state.class_registry)
