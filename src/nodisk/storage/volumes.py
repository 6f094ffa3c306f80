"""Records of students' volumes on the server. The records are the desired state; the server reconciles it.

::

    STATE/labs/LAB/storage/      0700
    ├── NAME.json                the record (0600)
    ├── NAME.img                 the volume: a sparse file with a file system of exactly that size
    ├── NAME.growing             it is being enlarged, or that was interrupted and will be done again
    ├── mounted/NAME/            the mount point while it is exported
    ├── root/PATH/               the export's root: a folder for each export's secret path; nobody may list it
    └── recovery/                the NFS server's records of its clients
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nodisk import files
from nodisk.errors import EnvironmentProblem, IntegrityError, TimedOut, UsageError
from nodisk.state import LabState
from nodisk.storage import bell
from nodisk.waiting import Deadline

MIB = 1024**2
SMALLEST = 16 * MIB
STATUS = "storage.json"
"""In the lab's run folder: what the server exports (``report``)."""


class Volume(BaseModel):
    """One student's storage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    number: int
    """The export's number; also makes the name unique."""
    name: str
    class_name: str
    key: str
    """The student, as in the class' record (``Account.key``)."""
    size: int
    """Its capacity for files, in bytes."""
    path: str
    """The last part of the export's path: 128 random bits. Whoever knows it can mount it from a machine of the lab."""
    state: Literal["exported", "kept", "removed"] = "exported"
    """``kept``: nobody can reach it; ``removed``: the server is about to delete it."""


def folder(state: LabState) -> Path:
    """Where the volumes are."""
    return state.storage


def image(state: LabState, volume: Volume) -> Path:
    """The volume's file."""
    return folder(state) / f"{volume.name}.img"


def load_all(state: LabState) -> list[Volume]:
    """All volumes, by number. Raises IntegrityError for a record that can't be read."""
    found = []
    for path in folder(state).glob("*.json"):
        try:
            found.append(Volume.model_validate_json(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue
        except ValidationError as error:
            raise IntegrityError(f"{path} is damaged: {error.error_count()} problems") from error
    return sorted(found, key=lambda volume: volume.number)


def stamp(state: LabState) -> tuple[tuple[str, int], ...]:
    """Changes whenever a record does."""
    found = []
    for path in sorted(folder(state).glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.name, path.stat().st_mtime_ns))
    return tuple(found)


def save(state: LabState, volume: Volume) -> None:
    """Write the record atomically."""
    folder(state).mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(folder(state) / f"{volume.name}.json", volume.model_dump_json(indent=1) + "\n", mode=0o600)


def forget(state: LabState, volume: Volume) -> None:
    """Remove the record of a deleted volume."""
    files.remove(folder(state) / f"{volume.name}.json")


def of_class(state: LabState, class_name: str) -> dict[str, Volume]:
    """Student's key → volume, without removed ones."""
    found = load_all(state)
    return {v.key: v for v in found if v.class_name == class_name and v.state != "removed"}


def ensure(state: LabState, class_name: str, owners: Mapping[str, str], size: int) -> dict[str, Volume]:
    """A volume of ``size`` bytes for each owner (key → namespace): existing ones, including kept ones, and new ones.

    A volume can grow but not shrink (UsageError). One that was kept gets a new path.
    """
    with _changing(state):
        known = of_class(state, class_name)
        for key in owners:
            if key in known and known[key].size > size:
                raise UsageError(
                    f"{known[key].name} already has {known[key].size // MIB} MiB, and a volume can't shrink",
                    hint="use at least the previous --storage",
                )
        number = max((volume.number for volume in load_all(state)), default=0)
        found = {}
        for key, namespace in owners.items():
            if old := known.get(key):
                path = old.path if old.state == "exported" else secrets.token_hex(16)
                found[key] = old.model_copy(update={"size": size, "path": path, "state": "exported"})
            else:
                number += 1
                found[key] = Volume(
                    number=number,
                    name=f"{namespace}-{number}",
                    class_name=class_name,
                    key=key,
                    size=size,
                    path=secrets.token_hex(16),
                )
            if found[key] != old:
                save(state, found[key])
    return found


def release(state: LabState, volumes: Iterable[Volume], *, keep: bool) -> None:
    """Stop exporting volumes; the server deletes those that aren't kept."""
    with _changing(state):
        for volume in volumes:
            save(state, volume.model_copy(update={"state": "kept" if keep else "removed"}))


@contextlib.contextmanager
def _changing(state: LabState) -> Iterator[None]:
    folder(state).mkdir(mode=0o700, parents=True, exist_ok=True)
    # Another class may be being made: that is a moment.
    with files.lock(folder(state) / ".lock", "the students' storage", wait=10):
        try:
            yield
        finally:
            bell.ring(state)


@dataclass(frozen=True, slots=True)
class Report:
    """The server's report on its exports."""

    exported: Mapping[str, int]
    """Volume → its capacity in bytes."""
    problems: Mapping[str, str]
    """Volume, or ``""`` for all → why it isn't exported."""


def report(state: LabState) -> Report | None:
    """The running server's latest report; None: there is none yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((state.run / STATUS).read_text(encoding="utf-8"))
        return Report(dict(data["exported"]), dict(data["problems"]))
    return None


def write_report(state: LabState, found: Report) -> None:
    """For the server: write the report."""
    text = json.dumps({"exported": dict(found.exported), "problems": dict(found.problems)}, indent=1)
    files.write(state.run / STATUS, text + "\n", mode=0o600)


def wait(state: LabState, volumes: Iterable[Volume], *, seconds: float) -> None:
    """Wait until the server has put the records into effect; raises EnvironmentProblem with its reason, or TimedOut."""
    wanted = {volume.name: volume for volume in volumes}
    deadline = Deadline(seconds)
    while True:
        found = report(state) or Report({}, {})
        open_ = [name for name, volume in wanted.items() if not _settled(state, volume, found)]
        if not open_:
            return
        if reason := next((found.problems[name] for name in (*open_, "") if name in found.problems), None):
            raise EnvironmentProblem(f"the students' storage is not served: {reason}")
        if not deadline.pause(0.1):
            raise TimedOut(
                f"the server has not served {', '.join(sorted(open_)[:5])} within {seconds:g} s",
                hint=f"see its log: {state.log / 'nfs-ganesha.log'}",
            )


def _settled(state: LabState, volume: Volume, found: Report) -> bool:
    if volume.state == "exported":
        return found.exported.get(volume.name) == volume.size
    gone = volume.state == "kept" or not image(state, volume).exists()
    return volume.name not in found.exported and gone
