"""What is in a backup: the tree that restic stores, and the manifest by which it is checked.

::

    manifest.json     Manifest: version, lab, every file's hash, the census of etcd
    etcd.db           etcd's own snapshot
    lab/              lab.yaml, and the files beside it that it names
    state/            the lab's folder: pki/ classes/ power/ ssh/ storage/ reports/ nodisk.db built.json …
    assets/           with --with-assets: the store's files and manifests that the lab uses
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nodisk import __version__
from nodisk.backup.etcd import Count
from nodisk.errors import IntegrityError, NodiskError
from nodisk.spec.model import Lab

VERSION = 1
MANIFEST, ETCD, LAB, STATE, ASSETS = "manifest.json", "etcd.db", "lab", "state", "assets"
FOLDERS = ("pki", "classes", "power", "ssh", "reports")
"""Folders of the lab's state whose files are each written whole, so that copying is enough."""
FILES = ("built.json", "holds.json", "isolation.json", "mirrored.json", "upgrade.json")


class Stored(BaseModel):
    """A file of the backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    sha256: str


class Etcd(BaseModel):
    """The snapshot of etcd."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    revision: int
    resources: dict[str, Count]


class Manifest(BaseModel):
    """The first thing that is read of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal[1] = 1
    nodisk: str = __version__
    lab: str
    created: datetime
    """When its content was true: the moment of etcd's snapshot, or the start where there is no etcd."""
    seconds: float
    """What gathering it took."""
    etcd: Etcd | None = None
    """None: the lab had no cluster yet."""
    assets: dict[str, str] = {}
    """Kind → id of the assets that the lab uses, whether or not the backup holds them."""
    outside: tuple[str, ...] = ()
    """Files that lab.yaml names and that are not below its folder: not in the backup."""
    files: dict[str, Stored]


def read(folder: Path) -> Manifest:
    """Read a loaded backup's manifest; raises NodiskError for another version, IntegrityError for what is none."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
        found = Manifest.model_validate_json(text)
    except FileNotFoundError as error:
        raise IntegrityError("this snapshot is no whole backup of nodisk: it has no manifest.json") from error
    except (ValidationError, UnicodeDecodeError) as error:
        version = _version(path)
        if version not in (None, VERSION):
            raise NodiskError(
                f"this backup has format {version}, and this nodisk ({__version__}) knows format {VERSION}",
                hint="restore it with the nodisk that made it, then upgrade that",
            ) from error
        raise IntegrityError("the manifest of this backup is damaged") from error
    for name in found.files:
        if name.startswith("/") or ".." in Path(name).parts:
            raise IntegrityError(f"the manifest of this backup names a file outside of it: {name!r}")
    return found


class _Versioned(BaseModel):
    version: int | str | None = None


def _version(path: Path) -> object:
    try:
        return _Versioned.model_validate_json(path.read_bytes()).version
    except ValidationError:
        return None


def hashes(folder: Path) -> dict[str, Stored]:
    """Every file below a folder with its hash, by its path; the manifest aside."""
    return {
        str(path.relative_to(folder)): Stored(size=path.lstat().st_size, sha256=sha256(path))
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or not path.is_dir()) and path != folder / MANIFEST
    }


def sha256(path: Path) -> str:
    """A file's hash; of a link, which no backup has, none that any file has."""
    if path.is_symlink() or not path.is_file():
        return "no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(wanted: Mapping[str, Stored], found: Mapping[str, Stored]) -> Iterator[str]:
    """What is wrong with a loaded backup's files. Pure."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in wanted:
            yield f"{name} is not in the manifest"
        elif wanted[name] != found[name]:
            yield f"{name} differs from what was saved"


def named(lab: Lab) -> Iterator[Path]:
    """The files that lab.yaml names, with absolute paths. Not `kubernetes.path`: that folder is an asset's source."""
    for manifest in (lab.kubernetes.network_manifest, lab.kubernetes.policies_manifest):
        if manifest is not None:
            yield manifest.path
    for addon in lab.addons:
        if addon.manifest is not None:
            yield addon.manifest.path
        if addon.path is not None:
            yield from sorted(addon.path.glob("*.yaml")) if addon.path.is_dir() else [addon.path]
        if addon.helm is not None and not addon.helm.is_remote:
            yield Path(addon.helm.chart)
    for machine in lab.machines:
        for path in (machine.power.certificate, machine.power.ca):
            if path is not None:
                yield path
