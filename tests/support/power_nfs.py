"""A student's volume under a power cut, by the whole way: NFS client, nfs-ganesha, the image's ext4, the server's disk.

A file that a program in a pod has synced (NFS: COMMIT) is there when ``nodisk serve`` exports the volume again.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.interop.server.nfs_fill import CHUNK, library
from tests.support.power_said import Said, acknowledge

from nodisk.backup.volumes import seen_by
from nodisk.errors import NodiskError
from nodisk.records import running
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.storage.disks import Disks
from nodisk.storage.volumes import MIB, Volume

SIZE = 16 * MIB
FILES = 30
"""How many there are; the next one takes the oldest one's name."""
EXPORTED = 300.0
"""Seconds within which the server exports it."""


def ensure(state: LabState) -> Volume:
    """The volume's record; the server does the rest."""
    return volumes.ensure(state, "k8s", {"id:1": "k8s-jan"}, SIZE)["id:1"]


def write(server: str, state: LabState) -> None:
    """Write files and sync each; what fails ends it."""
    volume = ensure(state)
    volumes.wait(state, [volume], seconds=EXPORTED)
    nfs = library()
    nfs.nfs_init_context.restype = ctypes.c_void_p
    context = ctypes.c_void_p(nfs.nfs_init_context())
    nfs.nfs_set_version(context, 4)
    assert nfs.nfs_mount(context, server.encode(), f"/{volume.path}".encode()) == 0
    for number in itertools.count():
        name = f"f{number % FILES}"
        content = random.randbytes(CHUNK)  # noqa: S311 - bytes, no secret
        digest = hashlib.sha256(content).hexdigest()
        acknowledge("begun", name, digest)
        handle = ctypes.c_void_p()
        flags = os.O_WRONLY | (os.O_CREAT if number < FILES else 0)
        assert nfs.nfs_open(context, name.encode(), flags, ctypes.byref(handle)) == 0
        assert nfs.nfs_write(context, handle, ctypes.c_uint64(len(content)), content) == len(content)
        assert nfs.nfs_fsync(context, handle) == 0
        acknowledge("file", name, digest)
        assert nfs.nfs_close(context, handle) == 0


def forget_report(state: LabState) -> None:
    """What the server that was cut had said of its exports."""
    (state.run / volumes.STATUS).unlink(missing_ok=True)


def judge(state: LabState, said: Said) -> Iterator[str]:
    """Waits for the running server's export, and reads where it has mounted the volume."""
    try:
        volume = ensure(state)
        volumes.wait(state, [volume], seconds=EXPORTED)
    except NodiskError as error:
        yield f"the student's volume isn't exported again: {error}"
        return
    place = seen_by(running.process(state), Disks(state).place(volume))
    synced: dict[str, str] = {}
    for what, name, digest in said:
        # Until it is synced, a file that is being written again may hold either.
        synced[name] = digest if what == "file" else ""
    for name, digest in synced.items():
        if digest and (found := _digest(place / name)) != digest:
            yield f"the student's {name} isn't what was synced by NFS ({found})"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return str(error)
