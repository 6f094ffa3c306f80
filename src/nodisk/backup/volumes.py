"""Students' volumes, copied while their file systems stand still."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from nodisk import run
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.state import LabState
from nodisk.storage import volumes
from nodisk.storage.disks import Disks

FROZEN = 120.0
"""Seconds for which a student's writes may wait at most."""
_GUARD = "fsfreeze --freeze . && echo frozen && { read -r _; fsfreeze --unfreeze .; }"
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
    disks = Disks(state)
    for volume in found:
        if volume.state == "removed":
            continue
        image, place = volumes.image(state, volume), disks.place(volume)
        record = image.with_suffix(".json")
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, or not yet made by the server
            shutil.copy2(record, folder / record.name)
            with _still(place) if place.is_mount() else contextlib.nullcontext():
                _copy(image, folder / image.name)


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    run.run(["cp", "--reflink=auto", "--sparse=always", "--preserve=mode,timestamps", source, target], timeout=FROZEN)


@contextlib.contextmanager
def _still(place: Path) -> Iterator[None]:
    """Hold a mounted file system still; raises NodiskError if it can't be."""
    with run.held(["sh", "-c", _GUARD], cwd=place) as said:
        if said != "frozen":
            raise NodiskError(f"{place} can't be held still for its backup: {said}")
        yield
