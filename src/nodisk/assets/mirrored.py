"""Which container images of add-ons a lab has mirrored: ``labs/NAME/mirrored.json``.

The record is what pins an image: once it is in it, the objects that are applied name it by the digest of that day,
whatever its tag leads to later, until ``nodisk addons mirror --refresh`` asks the registries again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.assets.store import Manifest, Store
from nodisk.errors import IntegrityError
from nodisk.image_name import ImageName
from nodisk.state import LabState, State

VERSION = 1


@dataclass(frozen=True, slots=True)
class Copy:
    """One mirrored image."""

    digest: str
    """Of the manifest for the machines' platform: what the objects name and the lab's registry serves."""
    published: str
    """The digest that its own registry gave for the name: of the same manifest, or of an index of platforms."""
    asset: str
    """The id of its files in the store."""
    size: int
    """Bytes to download, layers and all."""
    when: str
    """When it was loaded, in UTC (ISO 8601)."""
    addons: tuple[str, ...]
    """The add-ons that use it, sorted."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the lab has."""

    images: Mapping[str, Copy]
    """By the image's whole name (``ImageName``)."""
    files: Mapping[str, tuple[str, ...]]
    """Ids of other assets (charts, manifests) → the add-ons that are made of them."""

    def pins(self, names: Collection[str]) -> dict[str, str]:
        """What to put in place of images' names, of those that are mirrored."""
        found = {}
        for text in names:
            try:
                name = ImageName.parse(text)
            except ValueError:
                continue
            if (copy := self.images.get(str(name))) is not None:
                found[text] = name.at(copy.digest)
        return found

    def without(self, addon: str) -> Record:
        """The same, with the add-on using nothing; what nobody uses is left out."""
        images = {name: replace(copy, addons=_less(copy.addons, addon)) for name, copy in self.images.items()}
        others = {asset: _less(users, addon) for asset, users in self.files.items()}
        return Record(
            {name: copy for name, copy in images.items() if copy.addons},
            {asset: users for asset, users in others.items() if users},
        )

    @property
    def users(self) -> frozenset[str]:
        """The add-ons that use anything in it."""
        every = (*(copy.addons for copy in self.images.values()), *self.files.values())
        return frozenset(user for users in every for user in users)


def _less(users: tuple[str, ...], addon: str) -> tuple[str, ...]:
    return tuple(user for user in users if user != addon)


EMPTY = Record({}, {})


def read(state: LabState) -> Record:
    """A lab's record; raises IntegrityError for a damaged one: what it keeps must be neither guessed nor pruned."""
    return read_file(state.mirrored, remedy="nodisk addons mirror")


def read_file(path: Path, *, remedy: str) -> Record:
    """A record in a file, none if there is no file. Raises IntegrityError with ``remedy``, which makes a new one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return EMPTY
    except ValueError as error:
        raise _damaged(path, error, remedy) from error
    try:
        if value["version"] != VERSION:
            raise ValueError(f"its version is {value['version']!r}")
        return Record(
            {str(ImageName.parse(name)): _copy(one) for name, one in value["images"].items()},
            {_text(asset): _texts(users) for asset, users in value["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error, remedy) from error


def _copy(value: Mapping[str, Any]) -> Copy:
    words = {key: _text(value[key]) for key in ("digest", "published", "asset", "when")}
    for digest in (words["digest"], words["published"]):
        if not ImageName.parse(f"x@{digest}").digest:
            raise ValueError(f"{digest!r} is no digest")
    return Copy(**words, size=int(value["size"]), addons=_texts(value["addons"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(sorted(_text(item) for item in value))


def _damaged(path: Path, error: Exception, remedy: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a valid record of mirrored images: {type(error).__name__}: {error}",
        hint=f"remove it and mirror again: rm {path} && {remedy}",
    )


def update(state: LabState, change: Callable[[Record], Record]) -> tuple[Record, Record]:
    """Change a lab's record; returns what it was and what it is. Raises Busy if another nodisk goes on changing it."""
    state.root.mkdir(parents=True, exist_ok=True)
    with files.lock_folder(state.root, "the record of mirrored images", wait=10):
        before = read(state)
        after = change(before)
        if after != before:
            write_file(state.mirrored, after)
    return before, after


def write_file(path: Path, record: Record) -> None:
    """Keep a record in a file, whole or not at all."""
    value = {
        "version": VERSION,
        "images": {name: asdict(copy) for name, copy in record.images.items()},
        "files": {asset: list(users) for asset, users in record.files.items()},
    }
    files.write(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def used(state: State) -> set[str]:
    """Ids of the assets that any lab's add-ons use."""
    records = [read(lab) for lab in state.each_lab()]
    return {copy.asset for one in records for copy in one.images.values()} | {
        asset for one in records for asset in one.files
    }


def stored(store: Store, copy: Copy) -> Manifest | None:
    """A copy's files; None where the store has lost them, as after a restore on another host."""
    return store.read(copy.asset)
