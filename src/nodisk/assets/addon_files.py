"""Charts and manifests of add-ons that are loaded from elsewhere: into the store, by their hashes.

From ``https://`` as a file; from ``oci://`` as Helm stores a chart in a registry: an image whose one layer is the
archive, so that lab.yaml's hash is the layer's digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodisk.assets import download, faults, mirrored, pull
from nodisk.assets.download import Published
from nodisk.assets.hashes import key_of, sha256_of
from nodisk.assets.mirrored import Record
from nodisk.assets.official import Upstream, variable
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.errors import IntegrityError
from nodisk.image_name import ImageName
from nodisk.spec.addon_catalogue import CATALOGUE
from nodisk.spec.model_addons import Addon
from nodisk.state import LabState
from nodisk.values import ImageRef

KIND = "addon-file"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that an add-on is made of."""

    url: str
    sha256: str
    version: str
    remedy: str
    """What a person can do if it can't be had."""

    @property
    def inputs(self) -> dict[str, Any]:
        """What decides the asset: nothing but the content."""
        return {"recipe": 1, "kind": KIND, "sha256": self.sha256}

    def find(self, store: Store) -> Path | None:
        """Where the store has it."""
        found = store.find(KIND, key_of(self.inputs))
        return store.path(found.files[0]) if found is not None else None


def wanted(addon: Addon, upstream: Upstream | None = None) -> Wanted | None:
    """The file that an add-on needs from elsewhere; None for one that is made of files of the user's."""
    chart, known = addon.helm, CATALOGUE.get(str(addon.name))
    if chart is not None and chart.is_remote:
        remedy = "load it on another host, and write its path to helm.chart in lab.yaml"
        return Wanted(chart.chart, chart.sha256, chart.version, remedy)
    if not addon.is_by_name or known is None:
        return None
    base = (upstream or Upstream()).manifests
    remedy = f"another server that has it: ${variable('manifests')}; or a file of yours: `manifest` in lab.yaml"
    return Wanted(f"{base}/{known.place}", known.sha256, known.version, remedy)


async def load(work: Work, state: LabState, addon: Addon, upstream: Upstream) -> None:
    """Get the file that an add-on needs into the store, and record that it does. Raises NodiskError."""
    name, one = str(addon.name), wanted(addon, upstream)
    made = None
    if one is not None:
        made = work.store.find(KIND, key_of(one.inputs)) or await _load(work, name, one, upstream)
    mirrored.update(state, lambda record: _noted(record, name, made))


def _noted(record: Record, addon: str, made: Manifest | None) -> Record:
    users = {asset: set(its) - {addon} for asset, its in record.files.items()}
    if made is not None:
        users[made.id] = users.get(made.id, set()) | {addon}
    return replace(record, files={asset: tuple(sorted(its)) for asset, its in users.items() if its})


async def _load(work: Work, name: str, one: Wanted, upstream: Upstream) -> Manifest:
    work.need_network(f"{faults.shown(one.url)} of the add-on {name}")
    with work.board.step(f"loading {name} {one.version}"), work.store.workspace() as folder:
        target = folder / "file"
        if one.url.startswith("oci://"):
            await _oci(work, one, folder / "oci", target, upstream.registry)
        else:
            async with download.client() as http:
                await download.file(http, one.url, target, Published("sha256", one.sha256), remedy=one.remedy)
        facts = {"url": one.url}
        return await asyncio.to_thread(
            work.store.add,
            KIND,
            name=f"add-on {name}",
            version=one.version,
            inputs=one.inputs,
            content={"file": target},
            facts=facts,
        )


async def _oci(work: Work, one: Wanted, folder: Path, target: Path, registry: str) -> None:
    """The archive of a chart in a registry; its tag is the chart's version, in which a registry can't have a ``+``."""
    name = ImageName.parse(one.url.removeprefix("oci://"))
    ref = ImageRef(name.host, name.path, one.version.replace("+", "_"))
    with pull.told(one.url, pull.source_of(ref, registry)[0], registry):
        await pull.exact(work, ref, "", folder, registry)
    found = folder / one.sha256
    if not found.exists() or await asyncio.to_thread(sha256_of, found) != one.sha256:
        there = ", ".join(_layers(folder)) or "no file"
        raise IntegrityError(
            f"{one.url} {one.version} has no layer with the hash {one.sha256}; it has {there}",
            hint="correct helm.sha256 or helm.version in lab.yaml",
        )
    found.replace(target)


def _layers(folder: Path) -> Iterator[str]:
    return (path.name for path in sorted(folder.glob("*")) if len(path.name) == 64)
