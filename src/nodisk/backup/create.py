"""Make a backup: gather what belongs together into a staging folder, hash it, let restic store it.

Order: etcd first, then the records. A class record names the objects in etcd, so a record may be newer than they are:
``nodisk class create`` completes what is missing, while objects without a record would be nobody's.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodisk import files
from nodisk.assets import built
from nodisk.assets.store import Manifest as AssetManifest
from nodisk.assets.store import Store
from nodisk.backup import contents, etcd, volumes
from nodisk.backup.contents import Manifest
from nodisk.backup.restic import Repository
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.records import backups, running
from nodisk.state import LabState

LOCK = "backup.lock"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is in the repository."""

    id: str
    manifest: Manifest
    seconds: float
    added: int
    """Bytes that the repository grew by."""


def create(
    context: LabContext, repository: Repository, *, with_assets: bool = False, source: etcd.Endpoint | None = None
) -> Made:
    """Back up the lab; ``source``: its etcd, found by itself if None.

    Raises Busy if another backup of this lab runs, and what keeps this one from being made; the staging folder is
    gone afterwards. Only what ``kill -9`` leaves stays for the next call, which removes it.
    """
    began = time.monotonic()
    state = context.state
    if not state.root.exists():
        raise EnvironmentProblem(f"lab {state.name} has no state in {state.state.root}", hint="is --state right?")
    with files.lock(state.root / LOCK, f"the backup of {state.name}"):
        if not repository.exists():
            repository.create()
        with _staging(state) as folder:
            manifest = gather(context, folder, with_assets=with_assets, source=source)
            parent = next((one.id for one in reversed(repository.snapshots(state.name))), None)
            tags = ("assets",) if with_assets else ()
            id_, added = repository.save(folder, state.name, tags, parent=parent)
        backups.note_made(state, manifest.created.timestamp(), id_, repository.target.text)
    return Made(id_, manifest, time.monotonic() - began, added)


@contextlib.contextmanager
def _staging(state: LabState) -> Iterator[Path]:
    folder = state.backup / "staging"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    state.backup.chmod(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gather(context: LabContext, folder: Path, *, with_assets: bool, source: etcd.Endpoint | None) -> Manifest:
    """Fill a folder with the lab's content, consistent, and write the manifest."""
    state, began, created = context.state, time.monotonic(), datetime.now(UTC)
    shelf = folder / contents.STATE
    shelf.mkdir(mode=0o700)
    found = _etcd(context, folder, source)
    with files.lock(state.root / "pki.lock", "the lab's PKI", wait=30):
        _copy_tree(state.pki, shelf / "pki")
    for name in contents.FOLDERS[1:]:
        _copy_tree(state.root / name, shelf / name)
    for name in contents.FILES:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(state.root / name, shelf / name)
    if state.storage.exists():
        volumes.copy_all(state, shelf / "storage")
    _database(state.database, shelf / state.database.name)
    outside = _lab_files(context, folder / contents.LAB)
    assets = _assets(context, folder / contents.ASSETS if with_assets else None)
    manifest = Manifest(
        lab=state.name,
        created=created,
        seconds=round(time.monotonic() - began, 3),
        etcd=found,
        assets=assets,
        outside=outside,
        files=contents.hashes(folder),
    )
    files.write(folder / contents.MANIFEST, manifest.model_dump_json(indent=1) + "\n", mode=0o600)
    return manifest


def _etcd(context: LabContext, folder: Path, source: etcd.Endpoint | None) -> contents.Etcd | None:
    """Save etcd: by the API of the one that runs; otherwise from a copy of its data, which is never touched."""
    state, file = context.state, folder / contents.ETCD
    if source is None and running.process(state) is not None:
        source = etcd.server(state.state, context.lab, context.netns)
    if source is not None:
        return _save(source, file)
    with files.lock(state.run / running.LOCK, f"the server of {state.name}"):  # so that none starts meanwhile
        if not (state.etcd / "member").exists():
            return None
        with_, copy = etcd.tools(state.state, context.lab), folder / "etcd"
        shutil.copytree(state.etcd, copy)
    try:
        with etcd.scratch(copy, state.pki, with_, folder / "etcd.log") as scratch:
            return _save(scratch, file)
    finally:
        shutil.rmtree(copy)
        (folder / "etcd.log").unlink(missing_ok=True)


def _save(source: etcd.Endpoint, file: Path) -> contents.Etcd:
    source.save(file)
    revision = etcd.revision_of(file, source.tools)
    return contents.Etcd(revision=revision, resources=etcd.census(source.items(revision)))


def _copy_tree(source: Path, target: Path) -> None:
    if source.exists():
        shutil.copytree(source, target, ignore=_passing)


def _passing(folder: str, names: list[str]) -> set[str]:
    """Locks and files that are just being written under a temporary name."""
    return {name for name in names if name.startswith(".") and (Path(folder) / name).is_file()}


def _database(source: Path, target: Path) -> None:
    """Copy a database that others write, by SQLite's own online backup."""
    if not source.exists():
        return
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise NodiskError(f"{source} can't be backed up: {error}") from error
    target.chmod(0o600)


def _lab_files(context: LabContext, folder: Path) -> tuple[str, ...]:
    """Copy lab.yaml and the files below its folder that it names; returns the others."""
    folder.mkdir(mode=0o700)
    shutil.copy2(context.file, folder / "lab.yaml")
    outside, home = [], context.file.parent.resolve()
    for path in sorted(set(contents.named(context.lab))):
        if not path.resolve().is_relative_to(home):
            outside.append(str(path))
            continue
        target = folder / path.resolve().relative_to(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return tuple(outside)


def _assets(context: LabContext, folder: Path | None) -> dict[str, str]:
    """Which assets the lab uses; copied into ``folder`` if there is one (NodiskError if they are not all there)."""
    try:
        made = built.manifests(context.state.state, context.lab)
    except NodiskError:
        if folder is not None:
            raise
        return {}
    if folder is not None:
        store = Store(context.state.state)
        for manifest in made.values():
            _copy_asset(store, manifest, folder)
    return {kind: manifest.id for kind, manifest in sorted(made.items())}


def _copy_asset(store: Store, manifest: AssetManifest, folder: Path) -> None:
    """Copy one asset's files, as hard links where they can be: nothing ever changes them."""
    for ref in manifest.files:
        source = store.path(ref)
        target = folder / source.relative_to(store.root)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copy2(source, target)
    files.write(folder / "manifests" / f"{manifest.id}.json", _manifest_text(store, manifest.id))


def _manifest_text(store: Store, id_: str) -> bytes:
    return next(path.read_bytes() for path in store.manifest_files() if path.stem == id_)
