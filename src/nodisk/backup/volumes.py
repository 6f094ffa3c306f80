"""Students' volumes, copied while their file systems stand still."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from nodisk import run
from nodisk.errors import EnvironmentProblem, NodiskError, TimedOut
from nodisk.records import running
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.storage.disks import Disks

FROZEN = 120.0
"""Seconds for which a student's writes may wait at most."""
_GUARD = "trap '' TERM INT HUP; fsfreeze --freeze . && echo frozen && { read -r _; fsfreeze --unfreeze .; }"
"""It thaws when its input ends, also where nodisk was killed. Its working folder keeps the volume from being unmounted
meanwhile: what is frozen and unmounted can't be thawed."""


def copy_all(state: LabState, folder: Path) -> None:
    """Copy each volume's record and image into ``folder``; images stay sparse.

    A mounted volume's file system is frozen while it is copied (fsfreeze(8)): all that was written is in the image,
    and writers wait. Where the server's file system can share blocks (XFS, Btrfs), that is a moment.
    """
    found = volumes.load_all(state)
    need = sum(volumes.image(state, one).stat().st_blocks * 512 for one in found if volumes.image(state, one).exists())
    folder.mkdir(mode=0o700)
    if (free := shutil.disk_usage(folder).free) < need:
        raise EnvironmentProblem(
            f"a copy of the students' volumes takes {need // volumes.MIB} MiB, and {folder} has {free // volumes.MIB}",
            hint="free some space on the disk of the state directory",
        )
    disks, server = Disks(state), running.process(state)
    exported = (volumes.report(state) or volumes.Report({}, {})).exported if server else {}
    for volume in found:
        if volume.state == "removed":
            continue
        image, place = volumes.image(state, volume), seen_by(server, disks.place(volume))
        if volume.name in exported and not place.is_mount():
            raise NodiskError(
                f"{volume.name} is exported, but {place} is not a mount: it can't be frozen for the backup",
                hint="run the backup as root, on the host of the server; or again, if a class is just being changed",
            )
        record = image.with_suffix(".json")
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, or not yet made by the server
            shutil.copy2(record, folder / record.name)
            mounted = place.is_mount()
            with _still(place) if mounted else contextlib.nullcontext():
                _copy(image, folder / image.name, timeout=FROZEN if mounted else None)


def seen_by(server: int | None, place: Path) -> Path:
    """A path as the server sees it: a service and a virtual lab's server have mounts that nobody else sees."""
    return place if server is None else Path(f"/proc/{server}/root") / place.relative_to("/")


def _copy(source: Path, target: Path, *, timeout: float | None) -> None:
    if not source.exists():
        return
    words = ["cp", "--reflink=auto", "--sparse=always", "--preserve=mode,timestamps"]
    try:
        run.run([*words, source, target], timeout=timeout)
    except TimedOut as error:
        raise TimedOut(
            f"{source} takes longer to copy than students' writes may wait ({FROZEN:g} s): the backup is not made",
            hint="stop the server for the backup, or put the state directory on XFS or Btrfs: a copy is a moment there",
        ) from error


@contextlib.contextmanager
def _still(place: Path) -> Iterator[None]:
    """Hold a mounted file system still; raises NodiskError if it can't be."""
    with run.held(["sh", "-c", _GUARD], cwd=place) as said:
        if said != "frozen":
            raise NodiskError(f"{place} can't be frozen for the backup: {said}")
        yield
