"""A container image in skopeo's format ``dir``, as a registry gave it: verified here, file by file, before it is kept.

skopeo verifies what it loads, too. But what is kept here is served to the whole room under the digest that is recorded,
so the hashes are taken again from what is on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk.assets.hashes import sha256_of
from nodisk.errors import IntegrityError

MANIFEST, FORMAT = "manifest.json", "version"
_MAX_JSON = 4 << 20
"""Bytes; no registry takes a larger manifest."""
_PLATFORM = ("linux", "amd64")


@dataclass(frozen=True, slots=True)
class Found:
    """An image that is whole."""

    digest: str
    """Of its manifest."""
    size: int
    """Bytes of all its files."""
    files: Mapping[str, Path]
    """By name."""


def check(folder: Path, image: str) -> Found:
    """An image's files; raises IntegrityError if one is missing or another one, or it is for other machines."""
    try:
        manifest = _json(folder / MANIFEST)
        blobs = list(_blobs(manifest))
        for digest, size in blobs:
            file = folder / digest.removeprefix("sha256:")
            if file.stat().st_size != size or sha256_of(file) != file.name:
                raise ValueError(f"the content of {digest} is another one")
        config = _json(folder / blobs[0][0].removeprefix("sha256:"))
        platform = (config.get("os"), config.get("architecture"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
        raise IntegrityError(
            f"{image} can't be kept: {reason}", hint="load it again; if that doesn't help, its registry is at fault"
        ) from error
    if platform != _PLATFORM:
        raise IntegrityError(
            f"{image} is for {'/'.join(map(str, platform))}; machines run {'/'.join(_PLATFORM)}",
            hint="use an image that its publisher builds for linux/amd64",
        )
    names = [MANIFEST, FORMAT, *(digest.removeprefix("sha256:") for digest, _ in blobs)]
    files = {name: folder / name for name in names}
    size = sum(path.stat().st_size for path in files.values())
    return Found(f"sha256:{sha256_of(folder / MANIFEST)}", size, files)


def _blobs(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Digest and bytes of the configuration, and of every layer."""
    if manifest["schemaVersion"] != 2:
        raise ValueError(f"its manifest has the version {manifest['schemaVersion']!r}, not 2")
    for one in (manifest["config"], *manifest["layers"]):
        digest = one["digest"]
        algorithm, _, hexadecimal = digest.partition(":")
        if algorithm != "sha256" or len(hexadecimal) != 64 or set(hexadecimal) - set("0123456789abcdef"):
            raise ValueError(f"{digest!r} is not a sha256 digest")
        yield digest, int(one["size"])


def _json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MAX_JSON:
        raise ValueError(f"{file.name} has more than {_MAX_JSON >> 20} MiB")
    value: dict[str, Any] = json.loads(file.read_bytes())
    return value
