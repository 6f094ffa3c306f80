"""The class registry on the disk: how full it is, and what no image needs any more.

The folder is docker-registry's (2.8): blobs by digest, and for each image links to its manifests and layers. What
students put there is hostile: files of any size and form. It is a file system of its own (``storage.class_registry``),
so the kernel keeps them from the rest of the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodisk.kube.errors import ApiError
from nodisk.spec.model_class_registry import ClassRegistry

LOOK = 5.0
"""Seconds between two looks at how full the registry is."""
MOST_UPLOADS = 100
"""Uploads of a namespace that were begun and not finished; each takes a folder until the registry ends it."""
UPLOAD = 4096
"""Bytes that an upload takes in any case."""
LARGEST_MANIFEST = 4 << 20
"""Bytes; docker-registry takes no larger one."""
LEAST = 1 << 20
"""Free bytes of the file system below which no push begins: it would fail on its way, with a less clear word."""
FEWEST = 128
"""The same for files that may still be made; a push makes some ten of them."""
SWEEP = 3600.0
"""Seconds between two looks for namespaces that are gone; the second one that misses one takes its images."""

_REPOSITORIES = "docker/registry/v2/repositories"


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes on the disk, and uploads that aren't finished."""

    total: int
    by_namespace: dict[str, int]
    uploads: dict[str, int] = field(default_factory=dict)


def use(root: Path) -> Use:
    """How full the folder is; what several namespaces have counts for each of them, and once in all."""
    sizes: dict[str, int] = {}
    for data in (root / "docker/registry/v2/blobs").glob("sha256/*/*/data"):
        sizes[data.parent.name] = _size(data)
    has, unfinished, uploads = defaultdict[str, set[str]](set), Counter[str](), Counter[str]()
    for namespace, image in _images(root):
        for links in ("_layers/sha256/*", "_manifests/revisions/sha256/*"):
            has[namespace] |= {link.name for link in image.glob(links)}
        for upload in image.glob("_uploads/*"):
            uploads[namespace] += 1
            unfinished[namespace] += UPLOAD + _size(upload / "data")
    found = {name: sum(sizes.get(one, 0) for one in has[name]) + unfinished[name] for name in {*has, *unfinished}}
    return Use(sum(sizes.values()) + unfinished.total(), found, dict(uploads))


def _images(root: Path) -> Iterator[tuple[str, Path]]:
    """Namespace and folder of each image; one may be below another."""
    top = root / _REPOSITORIES
    for path, names, _ in os.walk(top):
        own = [name for name in names if name.startswith("_")]
        names[:] = [name for name in names if not name.startswith("_")]
        if own:
            yield Path(path).relative_to(top).parts[0], Path(path)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):  # it was finished, or given up, meanwhile
        return 0


@dataclass(slots=True)
class Fullness:
    """Whether there is room for more, by a look at the disk now and then: what is under way may go over it."""

    limits: ClassRegistry
    root: Path
    trouble: str = ""
    """Why there is no file system to put anything on; '': there is."""
    clock: Callable[[], float] = time.monotonic
    _use: Use = field(default_factory=lambda: Use(0, {}))
    _looked: float = -LOOK
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def problem(self, namespace: str) -> str | None:
        """Why nothing more may be pushed to a namespace; None: it may."""
        if self.trouble:
            return self.trouble
        async with self._lock:
            if self.clock() - self._looked >= LOOK:
                self._use = await asyncio.to_thread(use, self.root)
                self._looked = self.clock()
        if self._use.by_namespace.get(namespace, 0) >= self.limits.per_namespace.bytes:
            return f"the images of {namespace} have taken all of their {self.limits.per_namespace}"
        if self._use.uploads.get(namespace, 0) >= MOST_UPLOADS:
            return f"{namespace} has {MOST_UPLOADS} uploads that were not finished: they end within three hours"
        if self._use.total >= self.limits.size.bytes or is_full(self.root):
            return self.full
        return None

    def failed(self) -> str | None:
        """Why the registry could not do what it was asked, as far as its file system tells; None: that is well.

        A push that has filled it leaves what it brought so far: that goes.
        """
        if self.trouble:
            return self.trouble
        if not is_full(self.root):
            return None
        rescue(self.root)
        return self.full

    @property
    def full(self) -> str:
        """That nothing more goes into it."""
        return f"the registry is full: {self.limits.size}"


def is_full(root: Path) -> bool:
    """Whether the folder's file system has hardly any bytes left, or inodes, where it counts them."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize < LEAST or (found.f_files > 0 and found.f_favail < FEWEST)


def uploading(root: Path, within: float) -> bool:
    """Whether something came within so many seconds that belongs to an upload which hasn't ended."""
    since = time.time() - within
    uploads = (upload for _, image in _images(root) for upload in image.glob("_uploads/*"))
    return any(_time(file) > since for upload in uploads for file in (upload, upload / "data"))


def _time(file: Path) -> float:
    """When it was changed; 0: it isn't there any more."""
    try:
        return file.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def tidy(root: Path, young: float = 0.0) -> int:
    """Remove what no tag leads to, and uploads, which nobody can go on with after that; nobody pushes meanwhile.

    ``young``: seconds for which a manifest is kept also without a tag. The blobs themselves go with the collection of
    garbage that follows. Returns how many manifests were removed. docker-registry's own ``--delete-untagged`` takes too
    much: of an image for several platforms, or with an attestation as BuildKit pushes it, the parts
    (https://github.com/distribution/distribution/issues/3178).
    """
    count = 0
    for _, image in _images(root):
        shutil.rmtree(image / "_uploads", ignore_errors=True)
        manifests: dict[str, dict[str, Any] | None] = {}
        asked = [link.read_text() for link in image.glob("_manifests/tags/*/current/link")]
        links = image.glob("_manifests/revisions/sha256/*/link") if young else ()
        asked += [f"sha256:{link.parent.name}" for link in links if _time(link) > time.time() - young]
        while asked:
            digest = asked.pop()
            if digest not in manifests:
                manifests[digest] = found = _manifest(root, digest)
                asked += _digests(found, "manifests")
        count += _remove(image / "_manifests/revisions", set(manifests))
        if all(found is not None for found in manifests.values()):
            parts = ("config", "layers", "blobs", "fsLayers", "manifests")
            _remove(image / "_layers", {one for found in manifests.values() for one in _digests(found, *parts)})
    return count


def _manifest(root: Path, digest: str) -> dict[str, Any] | None:
    """What the registry has at a digest, if it reads like a manifest."""
    name = digest.removeprefix("sha256:")
    file = root / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
    try:
        if not name.isalnum() or file.stat().st_size > LARGEST_MANIFEST:
            return None
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _digests(manifest: dict[str, Any] | None, *fields: str) -> list[str]:
    """The digests in those fields of a manifest or an index."""
    found: list[str] = []
    for name in fields:
        value = (manifest or {}).get(name)
        for part in value if isinstance(value, list) else [value]:
            digest = (part.get("digest") or part.get("blobSum")) if isinstance(part, dict) else None
            found += [digest] if isinstance(digest, str) else []
    return found


def _remove(links: Path, kept: set[str]) -> int:
    """Remove the links to all digests but these; returns how many."""
    gone = [link for link in links.glob("sha256/*") if f"sha256:{link.name}" not in kept]
    for link in gone:
        shutil.rmtree(link)
    return len(gone)


def sweep(root: Path, namespaces: Collection[str], missed: set[str]) -> tuple[set[str], list[str]]:
    """Remove the images of namespaces that are gone, if they were ``missed`` before; their layers go with the next
    collection of garbage. Returns the namespaces that are missing now, and those whose images were removed.
    """
    folder = root / _REPOSITORIES
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    gone = there - set(namespaces)
    removed = sorted(gone & missed)
    for name in removed:
        shutil.rmtree(folder / name)
    return gone - set(removed), removed


def rescue(root: Path) -> int:
    """Empty what is being uploaded, so that there is room for others: those uploads fail. Returns how many.

    A file that is removed would keep its room as long as somebody writes to it.
    """
    count = 0
    for _, image in _images(root):
        for data in image.glob("_uploads/*/data"):
            with contextlib.suppress(OSError):
                os.truncate(data, 0)
                count += 1
    return count


async def keep(
    root: Path, ask: Callable[[], Collection[str]], say: Callable[[str], None], changed: Callable[[], None]
) -> None:
    """Sweep now and then, for ever.

    ``ask``: the cluster's namespaces; raises ApiError while it doesn't answer. ``changed``: called after something was
    removed.
    """
    missed = set[str]()
    while True:
        with contextlib.suppress(ApiError):
            there = await asyncio.to_thread(ask)
            missed, removed = await asyncio.to_thread(sweep, root, there, missed)
            for name in removed:
                say(f"class registry: the images of {name} were removed: its namespace is gone")
                changed()
        await asyncio.sleep(SWEEP)
