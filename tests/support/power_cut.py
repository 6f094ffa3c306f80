"""A disk whose power is cut: ext4 on a loop device, shut down without its journal being written.

``FS_IOC_SHUTDOWN`` (ext4's ``EXT4_IOC_SHUTDOWN``, fs/ext4/ext4.h) with NOLOGFLUSH stops the file system as it is on the
disk: what nobody synced, and the kernel hadn't written by itself, is gone. Whatever uses it then gets EIO.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from nodisk import run
from nodisk.waiting import Deadline, until

_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2


class Disk:
    """A disk in a file, mounted; needs root."""

    def __init__(self, folder: Path, *, mib: int = 256) -> None:
        self.image, self.mount = folder / "disk.img", folder / "disk"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(mib << 20)
        run.run(["mkfs.ext4", "-q", self.image])
        self.plug_in()

    def plug_in(self) -> None:
        """Mount it, as a host does that starts again: the journal is replayed."""
        run.run(["mount", "-o", "loop", self.image, self.mount])

    def cut(self) -> None:
        """Cut the power. Whoever uses the disk should end; then ``pull_out``."""
        handle = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(handle)

    def pull_out(self) -> None:
        """Unmount it, when everybody who used it has ended: children of what was killed need a moment.

        What is mounted next is a copy. Other programs' mount namespaces, such as each ``ip netns exec``, may hold the
        mount a while longer; Linux would then mount the same dead file system again.
        """
        assert until(lambda: run.run(["umount", self.mount], check=False).returncode == 0, Deadline(60), every=0.1)
        copy = self.image.with_suffix(".copy")
        run.run(["cp", "--sparse=always", self.image, copy])
        copy.replace(self.image)

    def check(self) -> str:
        """What ``e2fsck`` says of the disk, unmounted, after its journal was replayed; empty: nothing is wrong."""
        done = run.run(["e2fsck", "-f", "-p", self.image], check=False)
        return "" if done.returncode in (0, 1) else done.stdout + done.stderr


@contextlib.contextmanager
def disk(folder: Path, *, mib: int = 256) -> Iterator[Disk]:
    """A disk for a test, taken away afterwards."""
    made = Disk(folder, mib=mib)
    try:
        yield made
    finally:
        run.run(["umount", "--lazy", made.mount], check=False)
        made.image.unlink()
