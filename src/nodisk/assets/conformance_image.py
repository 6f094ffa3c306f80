"""The suite's program out of the official conformance image, so that a server can ask it for its specs and its images.

The image is in the store byte by byte (``addon_mirror``), as the lab's registry serves it. Its program is in one of its
layers.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodisk.assets.hashes import key_of
from nodisk.assets.image_folder import MANIFEST
from nodisk.assets.store import Manifest, Store
from nodisk.errors import IntegrityError
from nodisk.image_name import ImageName
from nodisk.values import KubeVersion

KIND = "conformance"
PROGRAM = "e2e.test"
PLACE = f"usr/local/bin/{PROGRAM}"
"""Where the image's Dockerfile puts it."""
MAX_PROGRAM = 1 << 30
"""Bytes that are taken at most."""


def name_of(version: KubeVersion) -> ImageName:
    """The official image of a release."""
    return ImageName.parse(f"registry.k8s.io/conformance:v{version}")


def find(store: Store, digest: str) -> Manifest | None:
    """The program of the image with this digest, if it is in the store."""
    return store.find(KIND, key_of(_inputs(digest)))


def unpack(store: Store, image: Manifest, digest: str, version: KubeVersion) -> Manifest:
    """Put the program of a stored image into the store; raises IntegrityError for an image that has none."""
    if (there := find(store, digest)) is not None:
        return there
    layers = json.loads(store.path(image.file(MANIFEST)).read_bytes())["layers"]
    paths = [store.path(image.file(str(layer["digest"]).removeprefix("sha256:"))) for layer in layers]
    with store.workspace() as folder:
        target = folder / PROGRAM
        take(paths, PLACE, target)
        target.chmod(0o755)
        return store.add(
            KIND,
            name="official conformance suite",
            version=str(version),
            inputs=_inputs(digest),
            content={PROGRAM: target},
            facts={"image": str(name_of(version)), "digest": digest},
        )


def take(layers: Sequence[Path], place: str, target: Path) -> None:
    """Copy a file out of an image's layers, of which the last one that has it counts. Raises IntegrityError."""
    for layer in reversed(layers):
        try:
            if _take(layer, place, target):
                return
        except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
            raise IntegrityError(f"a layer of the conformance image can't be read: {error}") from error
    raise IntegrityError(f"the conformance image has no /{place}", hint="is it the official one, through your mirror?")


def _take(layer: Path, place: str, target: Path) -> bool:
    with tarfile.open(layer, "r|*") as tar:
        for member in tar:
            if posixpath.normpath(member.name).lstrip("/") != place:
                continue
            source = tar.extractfile(member) if member.isreg() else None
            if source is None or member.size > MAX_PROGRAM:
                raise IntegrityError(f"/{place} in the conformance image is no program")
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            return True
    return False


def _inputs(digest: str) -> dict[str, Any]:
    return {"recipe": 1, "image": digest}
