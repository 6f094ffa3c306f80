"""The content-addressed store: files named by their hash, and manifests that say what they are.

::

    assets/
    ├── objects/SHA256/NAME      immutable, world-readable; nginx serves them as /assets/SHA256/NAME
    ├── manifests/KIND-KEY.json  which files make up one asset, and how they were made; KEY is a hash of the inputs
    ├── trees/KEY/               an asset's files in one folder, by hard links (the release's programs)
    ├── tmp/                     work in progress; emptied by the next builder
    └── .lock                    held by the one builder

An asset exists from the moment its manifest does, and the manifest is written last. So whatever interrupts a
build, at any point, leaves at most files that no manifest names, which ``prune`` removes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.assets.hashes import key_of, sha256_of
from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.plan.facts import AssetRef
from nodisk.state import State


@dataclass(frozen=True, slots=True)
class Manifest:
    """One asset of the store."""

    kind: str
    """image, release, ipxe, containers, terminal, addons, addon-image, shim, suite or conformance."""
    name: str
    """For people: ``debian trixie (cloud kernel)``."""
    version: str
    key: str
    """Hash of ``inputs``; with ``kind`` it names the manifest's file."""
    inputs: Mapping[str, Any]
    """The inputs that decide whether to rebuild it."""
    files: tuple[AssetRef, ...]
    facts: Mapping[str, Any]
    """Other facts about it, such as the packages in it."""
    made: str
    """When, in UTC (ISO 8601)."""

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(ref.size for ref in self.files)

    @property
    def id(self) -> str:
        """How labs' records name it."""
        return f"{self.kind}-{self.key}"

    def file(self, name: str) -> AssetRef:
        """The file of that name; raises IntegrityError if the manifest has none."""
        for ref in self.files:
            if ref.name == name:
                return ref
        raise IntegrityError(f"asset {self.id} has no file {name}", hint="rebuild it with nodisk build --refresh")

    def to_json(self) -> dict[str, Any]:
        """The form on disk and of ``nodisk assets list --output json``."""
        return {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "key": self.key,
            "made": self.made,
            "size": self.size,
            "files": [{"name": ref.name, "sha256": ref.sha256, "size": ref.size} for ref in self.files],
            "inputs": dict(self.inputs),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of ``to_json``."""
        return cls(
            kind=data["kind"],
            name=data["name"],
            version=data["version"],
            key=data["key"],
            inputs=data["inputs"],
            files=tuple(AssetRef(item["name"], item["sha256"], item["size"]) for item in data["files"]),
            facts=data["facts"],
            made=data["made"],
        )


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error that says which one, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(folder) from error


def disk_full(folder: Path) -> EnvironmentProblem:
    """The error for a full disk."""
    return EnvironmentProblem(
        f"the disk of {folder} is full; incomplete files were removed",
        hint="free some space (nodisk assets prune removes unused assets), then run the command again",
    )


class Store:
    """The store of one state directory."""

    def __init__(self, state: State) -> None:
        self.root = state.assets
        self.objects = self.root / "objects"

    def path(self, ref: AssetRef) -> Path:
        """A file's path."""
        return self.objects / ref.sha256 / ref.name

    @contextlib.contextmanager
    def builder(self) -> Iterator[None]:
        """Hold the store's write lock; raises Busy if another nodisk holds it. Clears what a killed builder left."""
        with files.lock(self.root / ".lock", "the asset store"):
            self.root.chmod(0o755)
            _remove(self.root / "tmp")
            try:
                yield
            finally:
                _remove(self.root / "tmp")

    def at_rest(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock to read only, so that nobody writes meanwhile; raises Busy if somebody does."""
        return files.unlocked(self.root / ".lock", "the asset store")

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder for work in progress, on the store's own disk so that results are moved, not copied."""
        parent = self.root / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        folder.chmod(0o755)  # apt works as a user of its own
        try:
            with disk_errors(self.root):
                yield folder
        finally:
            _remove(folder)

    def find(self, kind: str, key: str) -> Manifest | None:
        """The asset of that key, if it is complete (sizes are checked here, contents by ``verify``)."""
        return self.read(f"{kind}-{key}")

    def read(self, asset_id: str) -> Manifest | None:
        """The asset of that id, if it is complete."""
        path = self.root / "manifests" / f"{asset_id}.json"
        try:
            manifest = Manifest.from_json(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{path} is not a manifest: {error}", hint=f"remove it and run nodisk build: rm {path}"
            ) from error
        return None if any(self._missing(ref) for ref in manifest.files) else manifest

    def manifest_files(self) -> list[Path]:
        """The manifests' files, unread."""
        return sorted((self.root / "manifests").glob("*.json"))

    def manifests(self) -> list[Manifest]:
        """All assets that have a readable manifest, oldest first, those with damaged files included."""
        found = []
        for path in self.manifest_files():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found.append(Manifest.from_json(json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda manifest: manifest.made)

    def add(
        self,
        kind: str,
        *,
        name: str,
        version: str,
        inputs: Mapping[str, Any],
        content: Mapping[str, Path],
        facts: Mapping[str, Any],
    ) -> Manifest:
        """Move the files of ``content`` (name → path in a workspace) into the store and record the asset."""
        with disk_errors(self.root):
            refs = tuple(self._adopt(file_name, path) for file_name, path in content.items())
            now = datetime.now(UTC).isoformat(timespec="seconds")
            manifest = Manifest(kind, name, version, key_of(inputs), inputs, refs, facts, now)
            self._write(manifest)
        return manifest

    def has(self, ref: AssetRef) -> bool:
        """Whether a file is there and of its size."""
        return self._missing(ref) is None

    def restore(self, manifest: Manifest) -> None:
        """Record an asset again whose files are still there, in place of a newer one of the same id."""
        self._write(manifest)

    def tree(self, manifest: Manifest, names: Iterable[str]) -> Path:
        """A folder with these files of an asset (hard links), made on demand."""
        folder = self.root / "trees" / manifest.key
        wanted = {name: self.path(manifest.file(name)) for name in names}
        if folder.is_dir() and all(
            (folder / name).exists() and (folder / name).samefile(path) for name, path in wanted.items()
        ):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new."))
        temporary.chmod(0o755)
        for name, path in wanted.items():
            (temporary / name).hardlink_to(path)
        _remove(folder)
        temporary.rename(folder)
        return folder

    def damage(self, manifest: Manifest) -> list[str]:
        """Check an asset's files, reading every byte; return one sentence per problem."""
        problems = []
        for ref in manifest.files:
            if reason := self._missing(ref):
                problems.append(f"{ref.name}: {reason}")
            elif (found := sha256_of(self.path(ref))) != ref.sha256:
                problems.append(f"{ref.name}: content has hash {found}, should be {ref.sha256}")
        return problems

    def forget(self, manifest: Manifest) -> None:
        """Remove an asset's manifest; its files go with the next ``garbage`` collection."""
        (self.root / "manifests" / f"{manifest.id}.json").unlink(missing_ok=True)

    def garbage(self, keep: Iterable[Manifest], *, read: Collection[str] = ()) -> list[Path]:
        """Folders of objects and trees that none of ``keep`` uses; ``read`` names further objects to keep."""
        kept = list(keep)
        hashes = {ref.sha256 for manifest in kept for ref in manifest.files} | set(read)
        keys = {manifest.key for manifest in kept}
        return [
            *(path for path in sorted(self.objects.glob("*")) if path.name not in hashes),
            *(path for path in sorted((self.root / "trees").glob("*")) if path.name not in keys),
        ]

    def _write(self, manifest: Manifest) -> None:
        text = json.dumps(manifest.to_json(), indent=1, sort_keys=True) + "\n"
        files.write(self.root / "manifests" / f"{manifest.id}.json", text)

    def _missing(self, ref: AssetRef) -> str | None:
        try:
            size = self.path(ref).stat().st_size
        except FileNotFoundError:
            return "missing"
        return None if size == ref.size else f"has {size} bytes, should have {ref.size}"

    def _adopt(self, name: str, path: Path) -> AssetRef:
        digest = sha256_of(path)
        ref = AssetRef(name, digest, path.stat().st_size)
        target = self.path(ref)
        if self._missing(ref) is None:
            if sha256_of(target) == digest:
                return ref
            target.unlink()  # damaged on disk: replaced by what was just made
        path.chmod(0o555 if path.stat().st_mode & 0o111 else 0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.objects, target.parent):
            folder.chmod(0o755)
        path.replace(target)
        files.sync_folder(target.parent)
        files.sync_folder(self.objects)
        return ref


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
