"""What all sources of a release have in common: programs, container images, its place in the store."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.assets.store import Manifest
from nodisk.errors import IntegrityError
from nodisk.plan.facts import ContainerImage, ReleaseFacts
from nodisk.values import ImageRef, KubeVersion

PROGRAMS = ("kubelet", "kubeadm", "kubectl", "kube-proxy")
"""The programs of every release."""
NODE_PROGRAMS = ("kubelet", "kube-proxy")
"""The programs in the node image, which every machine holds in RAM. kubectl is for the server; control planes get
kubeadm through Ignition."""
SERVER_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "etcdctl")
"""Optional: on a host they serve tests (and etcd the lab's server)."""
_UNUSED = ("kube-proxy", "etcd")  # kube-proxy is a host service here, and etcd runs on the server


@dataclass(frozen=True, slots=True)
class ReleaseImage:
    """One container image of a release and the store's file that holds it."""

    image: ContainerImage
    file: str


def listed_images(kubeadm: Path, version: KubeVersion) -> tuple[ImageRef, ...]:
    """The images that this kubeadm lists for its own version, without network. IntegrityError if it lists none."""
    output = run.run(
        [kubeadm, "config", "images", "list", "--kubernetes-version", f"v{version}"],
        timeout=60,
        env={"HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"},
    ).stdout
    found: list[ImageRef] = []
    for line in output.splitlines():
        with contextlib.suppress(ValueError):  # a warning among the names
            found.append(ImageRef.parse(line.strip()))
    if not found:
        raise IntegrityError(f"{kubeadm} names no container images for v{version}")
    return tuple(found)


def wanted_images(kubeadm: Path, version: KubeVersion) -> tuple[ImageRef, ...]:
    """Those of them that nodisk doesn't run in another way."""
    return tuple(one for one in listed_images(kubeadm, version) if one.program not in _UNUSED)


def facts_to_json(source: str, images: Sequence[ReleaseImage], **more: Any) -> dict[str, Any]:
    """The facts in a release's manifest."""
    return {
        "source": source,
        "images": [{"name": item.image.name, "unpacked": item.image.unpacked, "file": item.file} for item in images],
        **more,
    }


def images_of(manifest: Manifest) -> tuple[ReleaseImage, ...]:
    """The container images of a stored release (or of the project's own images)."""
    items: Sequence[Mapping[str, Any]] = manifest.facts["images"]
    return tuple(ReleaseImage(ContainerImage.of(item["name"], item["unpacked"]), item["file"]) for item in items)


def facts_of(manifest: Manifest) -> ReleaseFacts:
    """The public facts of a stored release."""
    images = tuple(item.image for item in images_of(manifest))
    return ReleaseFacts(KubeVersion.parse(manifest.version), manifest.facts["source"], images, manifest.file("kubeadm"))


def programs_of(manifest: Manifest) -> tuple[str, ...]:
    """The programs that a stored release has."""
    return tuple(ref.name for ref in manifest.files if ref.name in (*PROGRAMS, *SERVER_PROGRAMS))
