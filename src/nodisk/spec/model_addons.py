"""lab.yaml's model: add-ons."""

from __future__ import annotations

from pathlib import Path

from nodisk.image_name import ImageName
from nodisk.spec.model_kubernetes import NetworkManifest
from nodisk.spec.section import Section
from nodisk.values import Name


class HelmChart(Section):
    """A chart, which Helm on the server makes objects of; nothing of Helm runs in the cluster."""

    chart: str
    """Its archive (`.tgz`): a file, or an address that begins with `https://` or `oci://`."""
    version: str
    """The chart's version, as its Chart.yaml says it."""
    sha256: str
    """The archive's hash, as `sha256sum` prints it; of a chart in a registry, its layer's digest."""
    namespace: Name = Name("default")
    """Where its objects go; made if it isn't there."""
    values: str = ""
    """What to change of the chart's own values, as YAML in a block of text (`values: |`); Helm reads it as it is."""

    @property
    def is_remote(self) -> bool:
        """Whether it has to be loaded."""
        return "://" in self.chart


class Addon(Section):
    """What the cluster always has: one file that you reviewed, a folder, a chart, or (with none of these) one of the
    add-ons that nodisk knows by name: docs/how-to/addons.md.
    """

    name: Name
    """Its name in `nodisk addons`; the cluster remembers under it which objects are this add-on's."""
    manifest: NetworkManifest | None = None
    """One manifest, pinned by its hash."""
    path: Path | None = None
    """A folder whose `*.yaml` files are applied in the order of their names, or one file; not pinned."""
    helm: HelmChart | None = None
    """A chart, pinned by its version and its archive's hash."""
    images: tuple[ImageName, ...] = ()
    """More images to mirror: those that no pod of the objects names, because a program starts them (an operator's
    arguments, a ConfigMap). `nodisk addons show` says which look like it."""

    @property
    def is_by_name(self) -> bool:
        """Whether it names no source of its own."""
        return self.manifest is None and self.path is None and self.helm is None
