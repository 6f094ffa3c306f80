"""Volumes as file systems: create, grow, mount, delete. Everything here blocks and needs root.

Each volume is a sparse file with its own ext4, mounted through a loop device: the kernel enforces its size on any file
system of the server, without quotas that an administrator would have to enable.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from nodisk import files, run
from nodisk.errors import NodiskError
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.storage.volumes import Volume

# Nothing of a student's is ever executed or opened as a device on the server; freed blocks go back to its disk.
_MOUNT = "loop,nodev,nosuid,noexec,noatime,discard"
_MKFS = ("-q", "-F", "-b", "4096", "-i", "32768", "-m", "0", "-J", "size=8")


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
                    path = volumes.image(self.state, volume)
                    path.unlink(missing_ok=True)
                    _growing(path).unlink(missing_ok=True)
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

    def _mount(self, volume: Volume) -> None:
        path, place = volumes.image(self.state, volume), self.place(volume)
        size = volumes.image_size(volume.size)
        if not path.exists():
            self._make(path, size)
        elif path.stat().st_size < size or _growing(path).exists():
            self._grow(path, size)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        run.run(["mount", "-t", "ext4", "-o", _MOUNT, path, place])
        place.chmod(0o777)  # one student's alone, and a container may run as any user
        with contextlib.suppress(OSError):
            (place / "lost+found").rmdir()
        (self.root / volume.path).mkdir(exist_ok=True)

    def _grow(self, path: Path, size: int) -> None:
        """Enlarge a volume that isn't mounted: while it is, that takes a right that root in a container may lack.

        A mark stays until all of it is done: the server may be killed, or lose its power, when the file is already
        larger and its file system is not.
        """
        mark = _growing(path)
        mark.touch(mode=0o600)
        files.sync_folder(path.parent)
        os.truncate(path, max(size, path.stat().st_size))
        run.run(["e2fsck", "-f", "-p", path], check=False)  # it says 1 for what it has put right
        run.run(["resize2fs", path])
        _sync(path)
        mark.unlink()

    def _make(self, path: Path, size: int) -> None:
        """Create a file system in a file that appears complete or not at all, even after a power cut."""
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.truncate(size)
            os.fchmod(file.fileno(), 0o600)
        run.run(["mkfs.ext4", *_MKFS, new])
        _sync(new)
        new.replace(path)
        files.sync_folder(path.parent)

    def _unmount_all(self, problems: dict[str, str]) -> None:
        base = self.folder / "mounted"
        for place in sorted(base.iterdir()) if base.exists() else ():
            while place.is_mount():
                done = run.run(["umount", place], check=False)
                if done.returncode != 0:
                    problems[place.name] = done.stderr.strip()
                    break
            else:
                place.rmdir()


def _growing(path: Path) -> Path:
    """The mark beside a volume's file whose growth has begun and hasn't ended."""
    return path.with_suffix(".growing")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
