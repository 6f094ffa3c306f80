"""lab.yaml's model: add-ons."""

from __future__ import annotations

from pathlib import Path

from nodisk.spec.model_kubernetes import NetworkManifest
from nodisk.spec.section import Section
from nodisk.values import Name


class Addon(Section):
    """What the cluster always has, from manifests of yours: either one file that you reviewed, or a folder."""

    name: Name
    """Its name in `nodisk addons`; the cluster remembers under it which objects are this add-on's."""
    manifest: NetworkManifest | None = None
    """One manifest, pinned by its hash."""
    path: Path | None = None
    """A folder whose `*.yaml` files are applied in the order of their names, or one file; not pinned."""
