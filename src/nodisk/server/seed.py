"""Filling the lab's registry: what is missing of the release's images and the project's own, by skopeo."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from nodisk.plan import network
from nodisk.server.supervisor import start_whole

if TYPE_CHECKING:
    from nodisk.plan.facts import ContainerImage
    from nodisk.spec.model import Lab
    from nodisk.state import LabState

_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


async def seed(lab: Lab, state: LabState, images: Sequence[tuple[ContainerImage, Path]]) -> tuple[int, list[str]]:
    """Push what the registry doesn't have yet; how many were pushed, and what went wrong, a sentence each.

    A pod's image that is missing is a problem of that pod; so one that can't be pushed doesn't stop the others.
    """
    pushed, problems = 0, []
    registry = f"{lab.network.server}:{network.REGISTRY}"
    trust = state.run / "registry-ca"
    trust.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(state.pki / "server-ca.crt", trust / "ca.crt")
    context = ssl.create_default_context(cafile=str(trust / "ca.crt"))
    async with httpx.AsyncClient(base_url=f"https://{registry}", verify=context, trust_env=False) as client:
        for image, archive in images:
            where = f"/v2/{image.repository}/manifests/{image.tag}"
            answer = await client.head(where, headers={"Accept": _MANIFESTS})
            if answer.status_code == 200:
                continue
            problem = await push(archive, f"{registry}/{image.repository}:{image.tag}", trust)
            if problem is None:
                pushed += 1
            else:
                problems.append(f"{image.name} could not be pushed: {problem}")
    return pushed, problems


async def push(archive: Path, target: str, trust: Path) -> str | None:
    """Push one archive; None, or skopeo's last words."""
    # zstd is unpacked several times as fast as gzip, and a control plane waits for that. Only OCI's manifests name it.
    argv: list[str | Path] = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-cert-dir", trust]
    argv += ["--format", "oci", "--dest-compress-format", "zstd"]
    process = await start_whole([*argv, f"{transport(archive)}:{archive}", f"docker://{target}"])
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode == 0:
        return None
    return output.decode(errors="replace").strip().splitlines()[-1][-300:] if output.strip() else "it said nothing"


def transport(archive: Path) -> str:
    """skopeo's name for the archive's format; an archive that is both counts as docker's."""
    with tarfile.open(archive) as tar:
        return "docker-archive" if "manifest.json" in tar.getnames() else "oci-archive"
