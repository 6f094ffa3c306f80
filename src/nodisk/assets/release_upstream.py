"""The official release: the server tarball with its programs and images, etcd's own tarball, and pause and CoreDNS from
the official registry. Every file is verified by the hash that its publisher names, images by their digest.
"""

from __future__ import annotations

import asyncio
import tarfile
from pathlib import Path
from typing import Any

import httpx2

from nodisk.assets import docker_archive, download, faults, pull
from nodisk.assets.download import Published
from nodisk.assets.official import Upstream, variable
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.release import (
    PROGRAMS,
    SERVER_PROGRAMS,
    ReleaseImage,
    facts_to_json,
    listed_images,
    wanted_images,
)
from nodisk.assets.release_path import archive_name
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError
from nodisk.plan.facts import ContainerImage
from nodisk.spec import versions
from nodisk.values import ImageRef, KubeVersion

_PROBE_SECONDS = 4
_TARBALL = "kubernetes-server-linux-amd64.tar.gz"
_BIN = "kubernetes/server/bin/"


async def newest(upstream: Upstream, wanted: KubeVersion | None) -> KubeVersion:
    """The exact version to get: ``wanted``, or the newest patch of its line; without it, of the newest proved line.

    Raises EnvironmentProblem with a one-line message within seconds if upstream can't be reached.
    """
    line = wanted or versions.PROVED
    exact = line.patch is not None
    file = f"v{line}/{_TARBALL}.sha512" if exact else f"release/stable-{line}.txt"
    try:
        async with download.client() as http:
            answer = await download.text(http, f"{upstream.kubernetes}/{file}", timeout=_PROBE_SECONDS, tries=1)
    except download.Unreachable as error:
        others = "lab.yaml: kubernetes.source `debian` (1.20.2, for tests) or `path` (a folder of yours)"
        raise EnvironmentProblem(
            f"the official releases can't be reached from here ({error.message})",
            hint=f"{error.hint}; else {others}" if error.hint else f"{others}; a mirror: ${variable('kubernetes')}",
        ) from error
    except download.NotThere as error:
        raise _no_such(line, upstream, error) from error
    if not exact:
        return _parse(answer, upstream)
    try:
        Published.parse("sha512", answer, name=_TARBALL)
    except IntegrityError as error:
        raise _portal(answer, "a sha512", upstream) from error
    return line


def _no_such(version: KubeVersion, upstream: Upstream, error: download.NotThere) -> NodiskError:
    where = "the publisher" if upstream == Upstream() else f"the mirror {faults.shown(upstream.kubernetes)}"
    return NodiskError(
        f"{where} has no Kubernetes {version}: {error.message}",
        hint=f"write a version that it has into lab.yaml (kubernetes.version), or correct ${variable('kubernetes')}",
    )


def stored(store: Store, wanted: KubeVersion | None) -> KubeVersion:
    """The newest official release in the store that ``wanted`` allows; raises EnvironmentProblem if there is none."""
    every = [
        version
        for manifest in store.manifests()
        if manifest.kind == "release"
        and manifest.facts.get("source") == "upstream"
        and store.read(manifest.id)
        and versions.known(version := KubeVersion.parse(manifest.version))
        and (wanted is None or wanted == version or (wanted.patch is None and wanted.line == version.line))
    ]
    found = [version for version in every if wanted is not None or versions.is_proved(version)]
    if not found and every:
        newer = max(every)
        raise EnvironmentProblem(
            f"--offline, and the store holds only {newer}, newer than {versions.PROVED}, the newest line proved",
            hint=f"to use it all the same, write into lab.yaml: kubernetes.version: {newer.major}.{newer.minor}",
        )
    if not found:
        raise EnvironmentProblem(
            f"--offline, and the store holds no official release{f' {wanted}' if wanted else ''}",
            hint="run nodisk build once with network access",
        )
    return max(found)


def _parse(answer: str, upstream: Upstream) -> KubeVersion:
    try:
        return KubeVersion.parse(answer.strip())
    except ValueError as error:
        raise _portal(answer, "a version", upstream) from error


def _portal(answer: str, what: str, upstream: Upstream) -> IntegrityError:
    return IntegrityError(
        f"{upstream.kubernetes} answers what is not {what}: {answer.strip()[:80]!r}",
        hint="check for a captive portal or proxy that wants a login",
    )


def inputs(version: KubeVersion) -> dict[str, Any]:
    """What decides the release: a published version never changes."""
    return {"recipe": 1, "source": "upstream", "version": str(version)}


def recipe(version: KubeVersion, upstream: Upstream) -> Recipe:
    """Download the release from its publishers."""

    async def build(work: Work, step: Step, folder: Path) -> Made:
        loads = work.state.cache / "downloads"
        async with download.client() as http:
            step.doing("loading the official programs")
            tarball, tarball_hash = await _tarball(http, loads, version, upstream, step.loaded)
            content, images = await asyncio.to_thread(_unpack, tarball, folder)
            wanted = await asyncio.to_thread(wanted_images, content["kubeadm"], version)
            etcd_version = await asyncio.to_thread(_etcd_version, content["kubeadm"], version)
            step.doing(f"loading etcd {etcd_version}")
            etcd, etcd_hash = await _etcd(http, loads, etcd_version, upstream, step.loaded)
            content |= await asyncio.to_thread(_unpack_etcd, etcd, folder)
        digests: dict[str, str] = {}
        for image in wanted:
            name = str(image)
            if name not in images:
                step.doing(f"loading {name}")
                archive = folder / archive_name(name)
                digests[name] = await pull.pull(work, image, archive, upstream.registry)
                images[name] = archive
        kept = [_image(image, images[str(image)]) for image in wanted]
        content |= {item.file: images[item.image.name] for item in kept}
        facts = facts_to_json(
            "upstream", kept, sha512=tarball_hash, digests=digests, etcd=etcd_version, etcd_sha256=etcd_hash
        )
        return Made(
            name="Kubernetes, official release",
            version=str(version),
            content=content,
            facts=facts,
            pulled=digests.values(),
        )

    what = f"Kubernetes {version}"
    return Recipe(kind="release", what=what, inputs=inputs(version), build=build, loads=what)


def _image(image: ImageRef, path: Path) -> ReleaseImage:
    return ReleaseImage(ContainerImage(image, docker_archive.read(path).unpacked), archive_name(str(image)))


async def _tarball(
    http: httpx2.AsyncClient,
    loads: Path,
    version: KubeVersion,
    upstream: Upstream,
    progress: download.Progress,
) -> tuple[Path, str]:
    url = f"{upstream.kubernetes}/v{version}/{_TARBALL}"
    remedy = f"a mirror of your own: ${variable('kubernetes')}"
    told = await download.text(http, url + ".sha512", remedy=remedy)
    published = Published.parse("sha512", told, name=_TARBALL)
    target = loads / f"v{version}-{_TARBALL}"
    await download.file(http, url, target, published, progress, remedy=remedy)
    return target, published.hex


def _unpack(tarball: Path, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Programs by name, and the images that the tarball carries by kubeadm's names for them."""
    programs: dict[str, Path] = {}
    images: dict[str, Path] = {}
    with tarfile.open(tarball, "r:gz") as tar:
        for member in tar:
            name = member.name.removeprefix("./").removeprefix(_BIN)
            if not member.isfile() or "/" in name:
                continue
            if name in (*PROGRAMS, *SERVER_PROGRAMS):
                programs[name] = _extract(tar, member, folder / name)
            elif name.removesuffix(".tar") in SERVER_PROGRAMS and name.endswith(".tar"):
                archive = _extract(tar, member, folder / f"tarball-{name}")
                images |= dict.fromkeys(_names_in(archive, name), archive)
    if missing := [name for name in PROGRAMS if name not in programs]:
        raise IntegrityError(f"{tarball.name} has the published hash but lacks {', '.join(missing)}")
    return programs, images


def _names_in(archive: Path, member: str) -> set[str]:
    """kubeadm's names for the image of an archive in the tarball, whose own name includes the architecture."""
    found = docker_archive.read(archive)
    if found.images != 1 or not found.names:
        raise IntegrityError(
            f"{member} in the official tarball holds {found.images} images and {len(found.names)} names; "
            "one image with a name was expected",
            hint=f"is ${variable('kubernetes')} a mirror of the publisher's own tarball?",
        )
    return {name.replace("-amd64:", ":") for name in found.names}


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Path:
    source = tar.extractfile(member)
    if source is None:
        raise IntegrityError(f"{member.name} is not a file")
    with target.open("wb") as sink:
        while chunk := source.read(1 << 20):
            sink.write(chunk)
    target.chmod(0o644 if target.name.endswith(".tar") else 0o755)
    return target


def _etcd_version(kubeadm: Path, version: KubeVersion) -> str:
    """The version of etcd that this kubeadm would run: ``v3.5.21`` from ``registry.k8s.io/etcd:3.5.21-0``."""
    tag = next((one.tag for one in listed_images(kubeadm, version) if one.program == "etcd"), "")
    if not tag:
        raise IntegrityError(f"kubeadm {version} lists no etcd image")
    return "v" + tag.partition("-")[0].removeprefix("v")


async def _etcd(
    http: httpx2.AsyncClient, loads: Path, version: str, upstream: Upstream, progress: download.Progress
) -> tuple[Path, str]:
    name = f"etcd-{version}-linux-amd64.tar.gz"
    base = f"{upstream.etcd}/{version}"
    remedy = f"a mirror of your own that has etcd {version}: ${variable('etcd')}"
    published = Published.parse("sha256", await download.text(http, f"{base}/SHA256SUMS", remedy=remedy), name=name)
    await download.file(http, f"{base}/{name}", loads / name, published, progress, remedy=remedy)
    return loads / name, published.hex


def _unpack_etcd(tarball: Path, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with tarfile.open(tarball, "r:gz") as tar:
        for member in tar:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in ("etcd", "etcdctl") and member.name.count("/") == 1:
                found[name] = _extract(tar, member, folder / name)
    if "etcd" not in found:
        raise IntegrityError(f"{tarball.name} has the published hash but contains no etcd")
    return found
