"""Volumes as file systems: create, grow, mount, delete. Everything here blocks and needs root.

Each volume is a sparse file with its own ext4 (``storage.filesystem``).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from nodisk import run
from nodisk.errors import NodiskError
from nodisk.state import LabState
from nodisk.storage import filesystem, volumes
from nodisk.storage.filesystem import FileSystem
from nodisk.storage.volumes import Volume


class Disks:
    """The volumes of one lab on this host. One caller at a time; a second one waits."""

    def __init__(self, state: LabState) -> None:
        self.state = state
        self.folder = volumes.folder(state)
        self._lock = threading.Lock()

    def place(self, volume: Volume) -> Path:
        """Where the volume is mounted."""
        return self.folder / "mounted" / volume.name

    @property
    def root(self) -> Path:
        """The root of the exports: its mode allows traversing it but not listing it."""
        return self.folder / "root"

    def arrange(self, wanted: Sequence[Volume], removed: Sequence[Volume]) -> tuple[list[Volume], dict[str, str]]:
        """Mount only ``wanted`` and delete ``removed``; return what is mounted, and name → what went wrong.

        Nothing may be in use.
        """
        with self._lock:
            for folder in (self.folder, self.folder / "recovery"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.mkdir(exist_ok=True)
            self.root.chmod(0o711)
            problems: dict[str, str] = {}
            self._unmount_all(problems)
            for volume in removed:
                if volume.name not in problems:
                    self._file_system(volume).remove()
                    volumes.forget(self.state, volume)
            paths = {volume.path for volume in wanted}
            for old in self.root.iterdir():
                if old.name not in paths:
                    old.rmdir()
            mounted = []
            for volume in wanted:
                if volume.name in problems:
                    continue
                try:
                    self._mount(volume)
                except (NodiskError, OSError) as error:
                    problems[volume.name] = error.message if isinstance(error, NodiskError) else str(error)
                else:
                    mounted.append(volume)
            return mounted, problems

    def mend(self, failed: Collection[str], wanted: Sequence[Volume]) -> bool:
        """Retry what failed, by name, and touch nothing else; return whether any of it works now."""
        by_name = {volume.name: volume for volume in wanted}
        helped = False
        with self._lock:
            for name in failed:
                place = self.folder / "mounted" / name
                try:
                    if place.is_mount():
                        run.run(["umount", place])
                    if name in by_name:
                        self._mount(by_name[name])
                except (NodiskError, OSError):
                    continue
                helped = True
        return helped

    def close(self) -> dict[str, str]:
        """Unmount all; returns name → what went wrong."""
        with self._lock:
            problems: dict[str, str] = {}
            self._unmount_all(problems)
            return problems

    def _file_system(self, volume: Volume) -> FileSystem:
        return FileSystem(volumes.image(self.state, volume))

    def _mount(self, volume: Volume) -> None:
        found, place = self._file_system(volume), self.place(volume)
        found.provide(filesystem.file_size(volume.size))
        found.mount(place)
        place.chmod(0o777)  # one student's alone, and a container may run as any user
        (self.root / volume.path).mkdir(exist_ok=True)

    def _unmount_all(self, problems: dict[str, str]) -> None:
        base = self.folder / "mounted"
        for place in sorted(base.iterdir()) if base.exists() else ():
            if problem := filesystem.unmount(place):
                problems[place.name] = problem
            else:
                place.rmdir()
