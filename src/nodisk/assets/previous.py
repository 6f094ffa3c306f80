"""The build before a lab's current one, inside the record of the current one. Pure.

The record keeps whole manifests, not only their ids: ``nodisk build --refresh`` makes an asset of the same id with
other files, and the store then has only the newer manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodisk.assets.store import Manifest

BEFORE, MANIFESTS = "before", "manifests"
Record = Mapping[str, Any]
"""A lab's ``built.json``."""


def kept(old: Record | None, new: Record) -> dict[str, Any] | None:
    """Which build goes before ``new`` once it replaces ``old``; None: none, or none that could be gone back to.

    A build that changed nothing leaves the one before where it is.
    """
    if old is None:
        return None
    if _files(old) == _files(new):
        return old.get(BEFORE)
    return {key: value for key, value in old.items() if key != BEFORE}


def swapped(record: Record) -> dict[str, Any]:
    """The record after going back: the build before is the current one, and the other way round. Raises LookupError."""
    before = record.get(BEFORE)
    if before is None:
        raise LookupError("there is no build before")
    return {**before, BEFORE: {key: value for key, value in record.items() if key != BEFORE}}


def manifests(record: Record) -> list[Manifest]:
    """The manifests of a record's current build; raises KeyError, TypeError or AttributeError for a damaged one."""
    return [Manifest.from_json(one) for one in record[MANIFESTS].values()]


def objects(record: Record) -> Iterator[str]:
    """The store's folders that the build before needs."""
    for manifest in manifests(record[BEFORE]) if BEFORE in record else ():
        yield from (ref.sha256 for ref in manifest.files)


def _files(record: Record) -> dict[str, Any]:
    return {kind: (one["key"], one["files"]) for kind, one in record[MANIFESTS].items()}
