"""Flatcar's and Fedora CoreOS' official PXE files, as an image of the store.

Checked by the hashes that the publishers name, which come over TLS from the publisher's own server; their GPG
signatures are not checked. Tested with servers laid out like the real ones; nodisk has never booted these images.

``$NODISK_UPSTREAM_FLATCAR`` and ``$NODISK_UPSTREAM_FCOS`` name other servers.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from nodisk.assets import download
from nodisk.assets.download import Published
from nodisk.assets.store import Manifest, key_of
from nodisk.assets.work import Work
from nodisk.errors import IntegrityError
from nodisk.plan.facts import ImageFacts
from nodisk.spec.model import ImageKind

_FLATCAR = "https://stable.release.flatcar-linux.net/amd64-usr/current"
_FCOS = "https://builds.coreos.fedoraproject.org/streams/stable.json"
_FLATCAR_FILES = {"vmlinuz": "flatcar_production_pxe.vmlinuz", "initramfs": "flatcar_production_pxe_image.cpio.gz"}
_FCOS_FILES = {"vmlinuz": "kernel", "initramfs": "initramfs", "root.img": "rootfs"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file as its publisher names it."""

    url: str
    published: Published


def inputs(kind: ImageKind) -> dict[str, Any]:
    """What decides the image; which version is the publisher's matter (``--refresh``)."""
    return {"recipe": 1, "image": kind.value}


async def build(work: Work, kind: ImageKind, environment: Mapping[str, str] = os.environ) -> Manifest:
    """The image in the store: the newest of the publisher's stable channel."""
    found = work.store.find("image", key_of(inputs(kind)))
    if found and not work.refresh:
        return found
    work.need_network(f"the image {kind}")
    with work.board.step(f"image {kind}") as step, work.store.workspace() as folder:
        async with download.client() as http:
            if kind is ImageKind.FLATCAR:
                version, sources = await _flatcar(http, environment.get("NODISK_UPSTREAM_FLATCAR", _FLATCAR))
            else:
                version, sources = await _fcos(http, environment.get("NODISK_UPSTREAM_FCOS", _FCOS))
            content = {}
            for name, source in sources.items():
                step.doing(f"loading {name} of {version}")
                loaded = work.state.cache / "downloads" / f"{kind}-{version}-{name}"
                await download.file(http, source.url, loaded, source.published, step.loaded)
                content[name] = folder / name
                await asyncio.to_thread(shutil.copyfile, loaded, content[name])
        published = {name: {"url": source.url, "hash": source.published.hex} for name, source in sources.items()}
        return work.store.add(
            "image",
            name=f"{kind}, official PXE files",
            version=version,
            inputs=inputs(kind),
            content=content,
            facts={"published": published},
        )


def facts_of(manifest: Manifest) -> ImageFacts:
    """The public facts; Flatcar's root is inside its initramfs, and neither tells its kernel's version outside."""
    names = {ref.name for ref in manifest.files}
    rootfs = manifest.file("root.img" if "root.img" in names else "initramfs")
    return ImageFacts(
        kernel=manifest.file("vmlinuz"),
        initramfs=manifest.file("initramfs"),
        rootfs=rootfs,
        kernel_version="",
        rootfs_unpacked=rootfs.size * 3,
        containerd="",
    )


async def _flatcar(http: httpx.AsyncClient, base: str) -> tuple[str, dict[str, Source]]:
    told = await download.text(http, f"{base}/version.txt")
    version = next((line.partition("=")[2] for line in told.splitlines() if line.startswith("FLATCAR_VERSION=")), "")
    if not version:
        raise IntegrityError(f"{base}/version.txt names no FLATCAR_VERSION")
    sources = {}
    for name, file in _FLATCAR_FILES.items():
        digests = await download.text(http, f"{base}/{file}.DIGESTS")
        sources[name] = Source(f"{base}/{file}", Published.parse("sha512", digests, name=file))
    return version, sources


async def _fcos(http: httpx.AsyncClient, url: str) -> tuple[str, dict[str, Source]]:
    told = await download.text(http, url)
    try:
        metal = json.loads(told)["architectures"]["x86_64"]["artifacts"]["metal"]
        pxe = metal["formats"]["pxe"]
        sources = {
            name: Source(pxe[theirs]["location"], Published.parse("sha256", pxe[theirs]["sha256"]))
            for name, theirs in _FCOS_FILES.items()
        }
        return str(metal["release"]), sources
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{url} is not Fedora CoreOS' stream metadata: {error}") from error
