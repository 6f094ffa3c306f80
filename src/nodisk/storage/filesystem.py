"""A file system in a file: made, enlarged and mounted. Everything here blocks and needs root.

It is an ext4 that is mounted through a loop device: so the kernel enforces its size on any file system of the server,
without quotas that an administrator would have to enable.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from nodisk import files, run
from nodisk.errors import NodiskError

# Nothing of a student's is ever executed or opened as a device on the server.
_MOUNT = "loop,nodev,nosuid,noexec,noatime"
_MKFS = ("-q", "-F", "-b", "4096", "-i", "32768", "-m", "0", "-J", "size=8")
_MIB = 1024**2


def file_size(capacity: int) -> int:
    """Bytes of a file whose file system holds ``capacity`` bytes of files, plus inodes, bitmaps and a journal."""
    return -(-(capacity + capacity // 40 + 10 * _MIB) // _MIB) * _MIB


def capacity(size: int) -> int:
    """The reverse of ``file_size``, for capacities of whole MiB; not less than 0."""
    return max(0, (size - 10 * _MIB) * 40 // 41 // _MIB * _MIB)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One of them; nobody else uses it at the same time."""

    file: Path
    reserved: bool = False
    """Whether the server's disk gives all of its blocks at once and for good. Otherwise it gives what is used, and gets
    back what is freed: several of them may then promise more than there is."""

    def provide(self, size: int) -> None:
        """Make it, or enlarge it, so that its file has at least ``size`` bytes. It isn't mounted, and never shrinks."""
        if not self.file.exists():
            self._make(size)
        elif self.file.stat().st_size < size or self._growing.exists():
            self._grow(size)
        elif self.reserved:  # some blocks may have been given back: by fstrim, or it is a copy that has holes
            self._set_size(self.file, self.file.stat().st_size)

    def mount(self, place: Path) -> None:
        """Mount it; the folder is made."""
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Some seconds after its first mount the kernel would zero inode tables, of which the loop device makes holes.
        options = f"{_MOUNT},noinit_itable" if self.reserved else f"{_MOUNT},discard"
        run.run(["mount", "-t", "ext4", "-o", options, self.file, place])
        with contextlib.suppress(OSError):
            (place / "lost+found").rmdir()

    def remove(self) -> None:
        """Delete it; it isn't mounted."""
        self.file.unlink(missing_ok=True)
        self._growing.unlink(missing_ok=True)

    @property
    def _growing(self) -> Path:
        """The mark beside a file whose growth has begun and hasn't ended."""
        return self.file.with_suffix(".growing")

    def _make(self, size: int) -> None:
        """Create it in a file that appears complete or not at all, even after a power cut."""
        new = self.file.with_suffix(".new")
        try:
            with new.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
            self._set_size(new, size)
            # It would begin by giving the blocks back.
            run.run(["mkfs.ext4", *_MKFS, *(("-E", "nodiscard") if self.reserved else ()), new])
            _sync(new)
        except (NodiskError, OSError):
            new.unlink(missing_ok=True)  # what it has reserved so far
            raise
        new.replace(self.file)
        files.sync_folder(self.file.parent)

    def _grow(self, size: int) -> None:
        """Enlarge it while it isn't mounted: while it is, that takes a right that root in a container may lack.

        A mark stays until all of it is done: the server may be killed, or lose its power, when the file is already
        larger and its file system is not.
        """
        self._growing.touch(mode=0o600)
        files.sync_folder(self.file.parent)
        self._set_size(self.file, max(size, self.file.stat().st_size))
        run.run(["e2fsck", "-f", "-p", self.file], check=False)  # it says 1 for what it has put right
        run.run(["resize2fs", self.file])
        _sync(self.file)
        self._growing.unlink()

    def _set_size(self, path: Path, size: int) -> None:
        if not self.reserved:
            os.truncate(path, size)
            return
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def unmount(place: Path) -> str:
    """Unmount all that is mounted there; returns why that failed, or ''."""
    while place.is_mount():
        done = run.run(["umount", place], check=False)
        if done.returncode != 0:
            return done.stderr.strip() or f"{place} can't be unmounted"
    return ""


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
