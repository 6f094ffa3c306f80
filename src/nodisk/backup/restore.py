"""Restore a backup into a state directory: everything beside what is there, checked, then put in place by renames.

::

    STATE/restoring/NAME/tree     the backup as restic restored it; checked against its manifest
    STATE/restoring/NAME/lab      the lab's folder as it will be
    STATE/set-aside/NAME-TIME     a lab's folder that was replaced

What is interrupted leaves ``restoring``, which the same command removes to begin again, and at the very end perhaps a
whole restored lab in ``set-aside``. The lab's folder is at every moment the old one or the new one.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodisk import files, run, yamltree
from nodisk.assets.store import Store
from nodisk.backup import contents, etcd
from nodisk.backup.contents import Manifest
from nodisk.backup.restic import Repository, Snapshot
from nodisk.errors import IntegrityError, UsageError
from nodisk.records import backups, running
from nodisk.records.database import Database
from nodisk.spec import load
from nodisk.spec.model import Lab
from nodisk.state import LabState, State
from nodisk.values import Name


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    lab: str
    manifest: Manifest
    seconds: float
    """What it took."""
    lost: float
    """Seconds between the backup's content and now: what was done in them is not in it."""
    lab_file: Path
    beside: tuple[Path, ...]
    """Files of the backup that went beside one that is there and differs."""
    set_aside: Path | None
    bumped: bool
    """Whether etcd's revision was moved on."""
    missing: tuple[str, ...]
    """Kinds of the assets that the lab uses and this host's store doesn't have: ``nodisk build`` makes them."""


def restore(
    state: State,
    repository: Repository,
    snapshot: Snapshot,
    *,
    lab_file: Path,
    name: str | None = None,
    replace: bool = False,
) -> Restored:
    """Restore a snapshot as lab ``name`` (None: its own), and lab.yaml with what it names beside ``lab_file``.

    Raises UsageError where the lab is there already and ``replace`` is false, where its server or virtual lab runs, or
    where ``lab_file`` is another lab's; IntegrityError where the backup is damaged. Then nothing was changed.
    """
    began = time.monotonic()
    target = state.lab(_name(name or snapshot.lab))
    _may(target, replace=replace)
    _compatible(lab_file, target.name)
    with _workplace(state, target.name) as work:
        manifest = load_checked(repository, snapshot, work / "tree")
        new = State(work / "state").lab(target.name)
        text = _lab_text(work / "tree" / contents.LAB / "lab.yaml", target.name)
        with_ = etcd.tools(state, load.parse(text, file=lab_file))
        bumped = _assemble(work / "tree", new, with_, cluster=manifest.etcd is not None)
        _adopt_assets(work / "tree" / contents.ASSETS, Store(state))
        _keep_password(repository, new)
        backups.note_made(new, manifest.created.timestamp(), snapshot.short, repository.target.text)
        _may(target, replace=replace)  # nobody started it meanwhile
        beside = _put_lab_file(work / "tree" / contents.LAB, lab_file, text)
        aside = _swap(new.root, target)
    lost = datetime.now(UTC) - manifest.created
    return Restored(
        target.name, manifest, time.monotonic() - began, lost.total_seconds(), lab_file, beside, aside, bumped=bumped,
        missing=tuple(kind for kind, id_ in manifest.assets.items() if Store(state).read(id_) is None),
    )  # fmt: skip


def load_checked(repository: Repository, snapshot: Snapshot, tree: Path) -> Manifest:
    """Load a snapshot into a folder and compare every file with the manifest; raises IntegrityError."""
    tree.mkdir(mode=0o700, parents=True)
    repository.load(snapshot, tree)
    manifest = contents.read(tree)
    if manifest.lab != snapshot.lab:
        raise IntegrityError(f"backup {snapshot.short} says it is of {manifest.lab}, and restic of {snapshot.lab}")
    if wrong := list(contents.differences(manifest.files, contents.hashes(tree))):
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise IntegrityError(f"backup {snapshot.short} is damaged: {'; '.join(wrong[:5])}{more}")
    return manifest


def lab_of(tree: Path) -> Lab:
    """The lab of a loaded backup."""
    return load.load(tree / contents.LAB / "lab.yaml")


def _name(text: str) -> str:
    try:
        return str(Name.parse(text))
    except ValueError as error:
        raise UsageError(f"{text!r} can't be a lab's name: {error}") from error


def _may(target: LabState, *, replace: bool) -> None:
    if running.process(target) is not None:
        raise UsageError(
            f"the server of lab {target.name} is running", hint="stop it first: a running lab is never restored over"
        )
    if target.virtual.exists():
        raise UsageError(f"the virtual lab {target.name} is running", hint="stop it first: nodisk lab down")
    if target.root.exists() and not replace:
        raise UsageError(
            f"lab {target.name} is already in {target.state.root}",
            hint="restore it under another name (--as NAME), or set what is there aside: --replace",
        )


def _compatible(lab_file: Path, name: str) -> None:
    """Raise UsageError for a lab.yaml that is there and is another lab's."""
    if not lab_file.exists():
        return
    there = load.load(lab_file)
    if str(there.name) != name:
        raise UsageError(
            f"{lab_file} is of lab {there.name}, and the backup would become {name}",
            hint="name the file to write: --lab-file FILE",
        )


@contextlib.contextmanager
def _workplace(state: State, name: str) -> Iterator[Path]:
    state.restoring.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.restoring.chmod(0o700)
    work = state.restoring / name
    with files.lock(state.restoring / f"{name}.lock", f"a restore of {name}"):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _lab_text(file: Path, name: str) -> str:
    """lab.yaml's text, with this name in it."""
    text = yamltree.decode(file.read_bytes())
    node = yamltree.parse(text)[0].fields["name"][1]
    return text if node.scalar == name else text[: node.start] + name + text[node.end :]


def _assemble(tree: Path, new: LabState, with_: etcd.Tools, *, cluster: bool) -> bool:
    """Make the lab's folder of the tree; returns whether etcd's revision was moved on."""
    new.root.parent.mkdir(parents=True)
    (tree / contents.STATE).rename(new.root)
    new.root.chmod(0o755)  # the daemons' users pass through it
    for image in new.storage.glob("*.img"):
        run.run(["fallocate", "--dig-holes", image], check=False)  # restic before 0.15 writes the holes, too
    bumped = False
    if cluster:
        bumped = etcd.restore(tree / contents.ETCD, new.etcd, with_, lab=new.name, bump=True)
    if new.database.exists():
        with Database(new.database) as database:
            database.disarm()  # a nonce that was used since must not count again
    _sync(new.root)
    return bumped


def _sync(root: Path) -> None:
    """Make everything survive a power cut before it is put in place."""
    run.run(["sync", "--file-system", root])


def _adopt_assets(folder: Path, store: Store) -> None:
    """Move the assets that the backup holds into the store; the files first, then their manifests."""
    if not folder.exists():
        return
    with store.builder():
        for place in sorted((folder / "objects").iterdir()):
            for file in place.iterdir():
                if contents.sha256(file) != place.name:
                    raise IntegrityError(f"asset {place.name}/{file.name} of the backup is damaged")
            target = store.objects / place.name
            target.mkdir(parents=True, exist_ok=True)
            for file in place.iterdir():
                file.replace(target / file.name)  # one that is there is the same, or damaged
            files.sync_folder(target)
        files.sync_folder(store.objects)
        for manifest in sorted((folder / "manifests").iterdir()):
            files.write(store.root / "manifests" / manifest.name, manifest.read_bytes())


def _keep_password(repository: Repository, new: LabState) -> None:
    """So that the restored lab goes on with the same repository."""
    new.backup.mkdir(mode=0o700, exist_ok=True)
    files.write(new.backup / "password", repository.password.read_bytes(), mode=0o600)


def _put_lab_file(folder: Path, lab_file: Path, text: str) -> tuple[Path, ...]:
    """Write lab.yaml and what it names; a file that is there and differs stays, and the backup's goes beside it.

    Returns those that went beside another.
    """
    beside = []
    wanted = {lab_file: text.encode()}
    for source in folder.rglob("*"):
        if source.is_file() and source != folder / "lab.yaml":
            wanted[lab_file.parent / source.relative_to(folder)] = source.read_bytes()
    for path, content in wanted.items():
        if path.exists() and path.read_bytes() != content:
            path = path.with_name(f"{path.name}.restored")  # noqa: PLW2901
            beside.append(path)
        files.write(path, content)
    return tuple(beside)


def _swap(new: Path, target: LabState) -> Path | None:
    """Put the new folder in place; an old one is set aside.

    They change places at once: a server that started between two renames would find no lab, and make another CA.
    """
    target.root.parent.mkdir(parents=True, exist_ok=True)
    if not target.root.exists():
        new.rename(target.root)
        files.sync_folder(target.root.parent)
        return None
    shelf = target.state.set_aside
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = shelf / f"{target.name}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    new.rename(aside)
    try:
        files.exchange(aside, target.root)
    except OSError:
        aside.rename(new)
        raise
    return aside
