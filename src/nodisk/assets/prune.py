"""``nodisk assets prune``: remove what no lab on this host uses."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nodisk.assets import built, holds
from nodisk.assets.store import Store
from nodisk.state import State


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was (or would be) removed."""

    removed: tuple[str, ...]
    """Ids of assets, and paths of the cache, below the state directory."""
    size: int
    """Bytes freed."""


def prune(state: State, *, dry_run: bool, read: Collection[str] = (), before: bool = False) -> Pruned:
    """Remove unused and incomplete assets, orphaned files, and the cache; raises Busy while something is built.

    ``before``: also files of labs' builds before their current ones, so that nothing can be rolled back.

    ``read`` names objects that stay anyway, because a server that started before the last build reads them. So do those
    of machines that are held at an earlier build.
    """
    store = Store(state)
    with store.at_rest() if dry_run else store.builder():
        used = built.used(state)
        keep = [manifest for manifest in store.manifests() if manifest.id in used and store.read(manifest.id)]
        kept = {manifest.id for manifest in keep}
        unread = [path for path in store.manifest_files() if path.stem not in kept]
        garbage = store.garbage(
            keep, read={*read, *holds.objects(state), *(() if before else built.used_before(state))}
        )
        cache = sorted(state.cache.glob("*"))
        removed = [path.stem for path in unread] + [str(path.relative_to(state.root)) for path in cache]
        size = sum(_size(path) for path in (*garbage, *cache))
        if not dry_run:
            # Manifests first: an asset whose files are half gone must not be taken for one that is there.
            for path in (*unread, *garbage, *cache):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return Pruned(tuple(removed), size)


def _size(path: Path) -> int:
    """Bytes on disk that deleting ``path`` frees; hard-linked files are counted once, with the object."""
    if path.parent.name == "trees":
        return 0
    found = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(item.lstat().st_size for item in found if item.is_file() and not item.is_symlink())
