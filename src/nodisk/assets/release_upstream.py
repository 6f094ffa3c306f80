"""The official release: the server tarball with its programs and images, etcd's own tarball, and pause and CoreDNS from
the official registry. Every file is checked by the hash that its publisher names, images by their digest.

Where each lies can be overridden, for a mirror of your own: ``$NODISK_UPSTREAM_KUBERNETES``, ``$NODISK_UPSTREAM_ETCD``,
``$NODISK_UPSTREAM_REGISTRY`` (``http://`` before the registry's address: without TLS).
"""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nodisk import run
from nodisk.assets import docker_archive, download, pull
from nodisk.assets.download import Published
from nodisk.assets.release import (
    PROGRAMS,
    SERVER_PROGRAMS,
    ReleaseImage,
    container_image,
    facts_to_json,
    short_name,
    wanted_images,
)
from nodisk.assets.release_path import archive_name
from nodisk.assets.store import Manifest, Store, key_of
from nodisk.assets.work import Work
from nodisk.errors import EnvironmentProblem, IntegrityError
from nodisk.spec import versions
from nodisk.values import KubeVersion

_PROBE_SECONDS = 4
_TARBALL = "kubernetes-server-linux-amd64.tar.gz"
_BIN = "kubernetes/server/bin/"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the official files are."""

    kubernetes: str = "https://dl.k8s.io"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    registry: str = pull.OFFICIAL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Upstream:
        """The official places, as far as the environment doesn't name others."""
        own = cls()
        return cls(
            environment.get("NODISK_UPSTREAM_KUBERNETES", own.kubernetes).rstrip("/"),
            environment.get("NODISK_UPSTREAM_ETCD", own.etcd).rstrip("/"),
            environment.get("NODISK_UPSTREAM_REGISTRY", own.registry).rstrip("/"),
        )


async def newest(upstream: Upstream, wanted: KubeVersion | None) -> KubeVersion:
    """The exact version to get: ``wanted``, the newest patch of its line, or the newest that nodisk knows.

    Raises EnvironmentProblem within seconds if the upstream can't be reached; the message is one line.
    """
    if wanted is not None and wanted.patch is not None:
        file = f"v{wanted}/{_TARBALL}.sha512"
    else:
        file = "release/stable.txt" if wanted is None else f"release/stable-{wanted}.txt"
    try:
        async with download.client() as http:
            answer = await download.text(http, f"{upstream.kubernetes}/{file}", timeout=_PROBE_SECONDS, tries=1)
            if wanted is not None and wanted.patch is not None:
                try:
                    Published.parse("sha512", answer, name=_TARBALL)
                except IntegrityError as error:
                    raise _portal(answer, "a sha512", upstream) from error
                return wanted
            version = _parse(answer, upstream)
            if wanted is None and not versions.known(version):
                line = f"release/stable-{versions.NEWEST}.txt"
                version = _parse(await download.text(http, f"{upstream.kubernetes}/{line}"), upstream)
            return version
    except download.Unreachable as error:
        raise EnvironmentProblem(
            f"the official releases can't be reached from here ({error.message})",
            hint="lab.yaml: kubernetes.source `debian` (1.20.2, for tests) or `path` (a folder of yours)",
        ) from error


def stored(store: Store, wanted: KubeVersion | None) -> KubeVersion:
    """The newest official release in the store that ``wanted`` allows; raises EnvironmentProblem if there is none."""
    found = [
        version
        for manifest in store.manifests()
        if manifest.kind == "release"
        and manifest.facts.get("source") == "upstream"
        and store.read(manifest.id)
        and versions.known(version := KubeVersion.parse(manifest.version))
        and (wanted is None or wanted == version or (wanted.patch is None and wanted.line == version.line))
    ]
    if not found:
        raise EnvironmentProblem(
            f"--offline, and the store holds no official release{f' {wanted}' if wanted else ''}",
            hint="run nodisk build once with the network",
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
        hint="is a portal or proxy in the way that wants a login?",
    )


def inputs(version: KubeVersion) -> dict[str, Any]:
    """What decides the release: a published version never changes."""
    return {"recipe": 1, "source": "upstream", "version": str(version)}


async def build(work: Work, version: KubeVersion, upstream: Upstream) -> Manifest:
    """The release in the store."""
    found = work.store.find("release", key_of(inputs(version)))
    if found and not work.refresh:
        return found
    work.need_network(f"Kubernetes {version}")
    with work.board.step(f"Kubernetes {version}") as step, work.store.workspace() as folder:
        loads = work.state.cache / "downloads"
        async with download.client() as http:
            step.doing("loading the official programs")
            tarball, tarball_hash = await _tarball(http, loads, version, upstream, step.loaded)
            content, images = await asyncio.to_thread(_unpack, tarball, folder)
            names = await asyncio.to_thread(wanted_images, content["kubeadm"], version)
            etcd_version = await asyncio.to_thread(_etcd_version, content["kubeadm"], version)
            step.doing(f"loading etcd {etcd_version}")
            etcd, etcd_hash = await _etcd(http, loads, etcd_version, upstream, step.loaded)
            content |= await asyncio.to_thread(_unpack_etcd, etcd, folder)
        digests: dict[str, str] = {}
        for name in names:
            if name not in images:
                step.doing(f"loading {name}")
                archive = folder / archive_name(name)
                digests[name] = await pull.pull(work, name, archive, upstream.registry)
                images[name] = archive
        kept = [_image(name, images[name]) for name in names]
        content |= {item.file: images[item.image.name] for item in kept}
        facts = facts_to_json(
            "upstream", kept, sha512=tarball_hash, digests=digests, etcd=etcd_version, etcd_sha256=etcd_hash
        )
        return await asyncio.to_thread(
            work.store.add,
            "release",
            name="Kubernetes, official release",
            version=str(version),
            inputs=inputs(version),
            content=content,
            facts=facts,
        )


def _image(name: str, path: Path) -> ReleaseImage:
    return ReleaseImage(container_image(name, docker_archive.read(path).unpacked), path.name)


async def _tarball(
    http: httpx.AsyncClient,
    loads: Path,
    version: KubeVersion,
    upstream: Upstream,
    progress: download.Progress,
) -> tuple[Path, str]:
    url = f"{upstream.kubernetes}/v{version}/{_TARBALL}"
    published = Published.parse("sha512", await download.text(http, url + ".sha512"), name=_TARBALL)
    target = loads / f"v{version}-{_TARBALL}"
    await download.file(http, url, target, published, progress)
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
                (image,) = docker_archive.read(archive).names
                image = image.replace("-amd64:", ":")
                images[image] = archive.rename(folder / archive_name(image))
    if missing := [name for name in PROGRAMS if name not in programs]:
        raise IntegrityError(f"{tarball.name} has the published hash and yet lacks {', '.join(missing)}")
    return programs, images


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
    words = ["config", "images", "list", "--kubernetes-version", f"v{version}"]
    listed = run.run([kubeadm, *words], timeout=60).stdout.split()
    tag = next((name.rpartition(":")[2] for name in listed if short_name(name) == "etcd"), "")
    if not tag:
        raise IntegrityError(f"kubeadm {version} names no etcd")
    return "v" + tag.partition("-")[0].removeprefix("v")


async def _etcd(
    http: httpx.AsyncClient, loads: Path, version: str, upstream: Upstream, progress: download.Progress
) -> tuple[Path, str]:
    name = f"etcd-{version}-linux-amd64.tar.gz"
    base = f"{upstream.etcd}/{version}"
    published = Published.parse("sha256", await download.text(http, f"{base}/SHA256SUMS"), name=name)
    await download.file(http, f"{base}/{name}", loads / name, published, progress)
    return loads / name, published.hex


def _unpack_etcd(tarball: Path, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with tarfile.open(tarball, "r:gz") as tar:
        for member in tar:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in ("etcd", "etcdctl") and member.name.count("/") == 1:
                found[name] = _extract(tar, member, folder / name)
    if "etcd" not in found:
        raise IntegrityError(f"{tarball.name} has the published hash and yet holds no etcd")
    return found
