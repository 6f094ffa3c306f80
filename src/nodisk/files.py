"""Atomic files (write to a temporary name, fsync, rename), and locks that know their holder."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from nodisk.errors import Busy, Changed
from nodisk.waiting import Deadline

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> bool:
    """Make ``path`` hold exactly ``content`` with ``mode``; returns whether anything changed.

    The file appears complete or not at all, even after a power cut: the temporary file is synced and renamed, and the
    folder is synced. A secret is written with mode 0o600 and is never readable by others in between.
    """
    data = content.encode() if isinstance(content, str) else content
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_mode & 0o7777 == mode and path.read_bytes() == data:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return True


def replace(path: Path, content: bytes, *, expected: bytes) -> None:
    """Make a file that is there hold ``content``, whole or not at all, with the mode and the owner that it has.

    A symbolic link stays one: what it points to is replaced. Raises Changed where the file no longer holds
    ``expected``: an editor saved it meanwhile. OSError where the folder can't be written, or the owner not be kept.
    """
    target = path.resolve(strict=True)
    before = target.stat()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            made = os.fstat(file.fileno())
            if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            os.fsync(file.fileno())
        if target.read_bytes() != expected:
            raise Changed(f"{path} was changed by another program meanwhile", hint="run the command again")
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def nearest(path: Path) -> Path:
    """``path`` if it exists, otherwise its nearest existing parent folder, on whose disk it would be."""
    return next(found for found in (path, *path.parents) if found.exists() or found == found.parent)


def remove(path: Path) -> bool:
    """Remove a file for good: it isn't back after a power cut either. Returns whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make a rename or a removal in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> None:
    """Let two files or folders of one file system change places: there is no moment in which one is missing.

    By renameat2(2); OSError where the file system can't (an NFS).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))
    for folder in {one.parent, other.parent}:
        sync_folder(folder)


def _flocked(handle: int, wait: float) -> bool:
    """Whether an open file or folder is held exclusively now, after ``wait`` seconds at most."""
    deadline = Deadline(wait)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not deadline.pause(0.05):
                return False
        else:
            return True


@contextlib.contextmanager
def lock_folder(folder: Path, what: str, *, wait: float) -> Iterator[None]:
    """Hold a folder exclusively, with no file made in it; raises Busy where another holds it for ``wait`` seconds.

    For a file that is replaced: a lock on the file itself would stay with the old one.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _flocked(handle, wait):
            raise Busy(f"{what} is being changed by another nodisk", hint="wait for it to finish")
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock(path: Path, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold ``path`` exclusively; raises Busy that names ``what`` and the process that holds it.

    ``wait``: seconds for which to wait for another holder before that.
    The kernel drops the lock when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _flocked(file.fileno(), wait):
            raise _busy(file, path, what)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} {_started(os.getpid())}\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def holder(path: Path) -> int | None:
    """The process that holds ``path`` by ``lock``; None: none does. It doesn't take the lock, so it blocks nobody.

    The pid of a process that died may have been reused: it is valid only with its start time.
    """
    with contextlib.suppress(OSError, ValueError):
        pid, started = path.read_text().split()
        if _started(int(pid)) == started:
            return int(pid)
    return None


def _started(pid: int) -> str | None:
    """When a process started, in ticks since this host's boot, and which boot (proc(5)); None: it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] not in ("Z", "X"):
            return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    return None


@contextlib.contextmanager
def unlocked(path: Path, what: str) -> Iterator[None]:
    """Hold ``path`` as ``lock`` does, so that nobody else gets it; but create and write no file for it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            file = stack.enter_context(path.open())
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise _busy(file, path, what) from error
        yield


def _busy(file: TextIO, path: Path, what: str) -> Busy:
    file.seek(0)
    process = (file.read().split() or ["unknown"])[0]
    return Busy(f"{what} is in use by process {process} (lock {path})", hint="wait for it to finish, or stop it")
