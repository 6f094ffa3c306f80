"""Add-ons that lab.yaml may name without a source: manifests as their projects publish them, pinned by hash.

nodisk contains none of their text, only location, version and hash. Each hash is that of the file in the project's own
repository at the tag; what a project publishes in another place only (metrics-server's release page) isn't here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A published manifest."""

    version: str
    repository: str
    path: str
    sha256: str
    about: str
    """What it is, for people."""

    @property
    def place(self) -> str:
        """Its path at the publisher."""
        return f"{self.repository}/{self.version}/{self.path}"


CATALOGUE = {
    "contour": Known(
        "v1.33.6",
        "projectcontour/contour",
        "examples/render/contour.yaml",
        "1d2e45c4bb31bea93085231d9b50e2c95ad92432253872b683e672eb7cecbbd8",
        "an ingress controller (Envoy on ports 80 and 443 of every worker); its project tests Kubernetes 1.32 to 1.34",
    ),
    "headlamp": Known(
        "v0.45.0",
        "kubernetes-sigs/headlamp",
        "kubernetes-headlamp.yaml",
        "9a893b6ce1f14660f76c5d79848e64979944125406e762f76278143cd2b863a2",
        "a web dashboard; its manifest names the image's tag `latest`, so mirror it",
    ),
}
