"""What a lab's network needs inside the cluster: manifests as their projects publish them at a version, pinned by hash.

nodisk contains none of their text, only its location, version and hash. A manifest is stored as it was published, with
the container images that it names; the lab's own addresses are inserted when it is applied (``kube.addons``). Rendered
and tested with servers laid out like the real ones, never booted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nodisk.assets import docker_archive, download, pull
from nodisk.assets.download import Published
from nodisk.assets.hashes import sha256_of
from nodisk.assets.official import Upstream, variable
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.release_path import archive_name
from nodisk.assets.work import Work
from nodisk.errors import IntegrityError, SpecError
from nodisk.plan.facts import ContainerImage
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import NetworkManifest, PodNetwork, Source
from nodisk.values import ImageRef

KIND = "addons"
POLICIES = "kube-network-policies"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A published manifest: its project, version and hash."""

    name: str
    version: str
    repository: str
    path: str
    sha256: str

    @property
    def place(self) -> str:
        """Its path at the publisher."""
        return f"{self.repository}/{self.version}/{self.path}"


PINNED = {
    "flannel": Pinned(
        "flannel",
        "v0.28.9",
        "flannel-io/flannel",
        "Documentation/kube-flannel.yml",
        "e875824be2f552b45711dbda91af81b17eb961d00025d914d9fef18fad8f09c0",
    ),
    "calico": Pinned(
        "calico",
        "v3.32.1",
        "projectcalico/calico",
        "manifests/calico.yaml",
        "a1df919d9721cf667accdc3e72848911b0cb25cfab7d2478ad0c996302c95744",
    ),
    POLICIES: Pinned(
        POLICIES,
        "v1.1.1",
        "kubernetes-sigs/kube-network-policies",
        "install.yaml",
        "5491e0364d32e74807bc80abcf4264a2e9b9a98c6d4a96cf55dc7770fae1aa19",
    ),
}


@dataclass(frozen=True, slots=True)
class Own:
    """A user's own manifest, for the network of that name or for the policies."""

    name: str
    manifest: NetworkManifest

    @property
    def sha256(self) -> str:
        """The hash in lab.yaml."""
        return self.manifest.sha256


def wanted(lab: Lab, source: Source) -> tuple[Pinned | Own, ...]:
    """The manifests that this lab gets with a release of that source.

    ``flannel`` doesn't enforce NetworkPolicies itself, nor does ``routed`` where the machines aren't to do it. The
    controller that does needs a current kernel and Kubernetes, and access to its image: it comes with the official
    releases.
    """
    network, own = lab.kubernetes.network, lab.kubernetes.network_manifest
    found: list[Pinned | Own] = []
    if own is not None:
        found.append(Own(str(network), own))
    elif str(network) in PINNED:
        found.append(PINNED[str(network)])
    if network in (PodNetwork.ROUTED, PodNetwork.FLANNEL) and not lab.server_enforces:
        if (policies := lab.kubernetes.policies_manifest) is not None and source is not Source.DEBIAN:
            found.append(Own(POLICIES, policies))
        elif source is Source.UPSTREAM:
            found.append(PINNED[POLICIES])
    return tuple(found)


def inputs(what: tuple[Pinned | Own, ...]) -> dict[str, Any]:
    """What decides the asset."""
    return {"recipe": 1, "manifests": {one.name: one.sha256 for one in what}}


def recipe(what: tuple[Pinned | Own, ...], upstream: Upstream) -> Recipe:
    """The manifests and their images."""
    names = ", ".join(one.name for one in what)

    async def build(work: Work, step: Step, folder: Path) -> Made:
        content: dict[str, Path] = {}
        kept: list[ReleaseImage] = []
        manifests, digests = [], dict[str, str]()
        for one in what:
            target = folder / f"{one.name}.yaml"
            step.doing(f"loading the manifest of {one.name}")
            origin = await _load(one, target, upstream.manifests)
            content[target.name] = target
            manifests.append({"name": one.name, "file": target.name, **origin})
            for image in await asyncio.to_thread(images, target):
                step.doing(f"loading {image}")
                archive = folder / archive_name(str(image))
                digests[str(image)] = await pull.pull(work, image, archive, upstream.registry)
                kept.append(ReleaseImage(ContainerImage(image, docker_archive.read(archive).unpacked), archive.name))
                content[archive.name] = archive
        return Made(
            name=f"add-ons: {names}",
            version=", ".join(filter(None, (version_shown(one, kept) for one in manifests))),
            content=content,
            facts=facts_to_json("addons", kept, manifests=manifests, digests=digests),
            pulled=digests.values(),
        )

    return Recipe(kind=KIND, what=names, inputs=inputs(what), build=build, loads=f"the manifest of {names}")


def version_shown(manifest: Mapping[str, str], images: list[ReleaseImage]) -> str:
    """A manifest's version, and its image's if that differs: ``v1.1.1 (image v1.1.0)``."""
    version, name = manifest.get("version", ""), manifest["name"]
    tags = {one.image.tag for one in images if one.image.repository.endswith(f"/{name}")}
    other = ", ".join(sorted(tags - {version}))
    return f"{version} (image {other})" if other else version


async def _load(one: Pinned | Own, target: Path, base: str) -> dict[str, str]:
    """Put a manifest with the right hash at ``target``; return its origin."""
    if isinstance(one, Own):
        target.write_bytes(await asyncio.to_thread(read_own, one.manifest, key_of_manifest(one.name)))
        return {"version": "", "url": str(one.manifest.path)}
    url = f"{base}/{one.place}"
    remedy = (
        f"another server that has it: ${variable('manifests')}; "
        f"or a file of your own: kubernetes.{key_of_manifest(one.name)} in lab.yaml, with its path and sha256"
    )
    async with download.client() as http:
        await download.file(http, url, target, Published("sha256", one.sha256), remedy=remedy)
    return {"version": one.version, "url": url}


def key_of_manifest(name: str) -> str:
    """The key in lab.yaml's ``kubernetes`` for a user's own manifest that replaces that one."""
    return "policies_manifest" if name == POLICIES else "network_manifest"


def read_own(manifest: NetworkManifest, key: str = "network_manifest") -> bytes:
    """The user's file; raises SpecError if it is missing, or its hash differs from lab.yaml's."""
    try:
        found = sha256_of(manifest.path)
        data = manifest.path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"{manifest.path}: {error.strerror}", hint=f"correct kubernetes.{key}.path in lab.yaml"
        ) from error
    if found != manifest.sha256:
        raise SpecError(
            f"{manifest.path} has the hash {found}, but lab.yaml says {manifest.sha256}",
            hint=f"review the change, then write the new hash to kubernetes.{key}.sha256",
        )
    return data


def images(file: Path) -> list[ImageRef]:
    """The container images of a manifest's pods, without those named by digest: a registry's copy has another one."""
    try:
        documents = list(yaml.load_all(file.read_bytes(), Loader=_LOADER))
    except yaml.YAMLError as error:
        raise IntegrityError(f"the manifest {file.name} is not YAML: {error}") from error
    found = dict[str, ImageRef]()
    for image in _images(documents):
        with contextlib.suppress(ValueError):
            found[image] = ImageRef.parse(image)
    return [one for _, one in sorted(found.items())]


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("containers", "initContainers") and isinstance(item, list):
                yield from (one["image"] for one in item if isinstance(one, dict) and isinstance(one.get("image"), str))
            yield from _images(item)
