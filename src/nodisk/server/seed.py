"""Filling the lab's registry, and emptying it of garbage.

What is missing of the release's images and the project's own is pushed by skopeo.

An image also counts as missing if its tag was pushed from another archive: a user's archive that has changed since, or
one that a newer nodisk builds differently. ``registry/pushed.json`` records the archives.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import ssl
import tarfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx2

from nodisk import cage, files, ports
from nodisk.assets.container_images import MANIFESTS
from nodisk.errors import describe
from nodisk.plan.facts import ContainerImage
from nodisk.spec.model import Lab
from nodisk.state import LabState

RETRY = (5, 15, 60, 300)
"""Seconds before each retry if something could not be pushed."""
PUSHED = "pushed.json"


async def collect_garbage(root: Path, config: Path, say: Callable[[str], None]) -> None:
    """Free the room of what no image in the registry refers to; nobody pushes meanwhile. A failure costs room alone.

    ``root``: the registry's data; ``config``: its own. Some tenths of a second: it reads the manifests, and no layer.
    """
    if not (root / "docker/registry/v2/blobs").exists():  # an error to it
        return
    process = await cage.start(["docker-registry", "garbage-collect", config])
    if problem := await _outcome(process):
        say(f"registry: garbage could not be collected: {problem}")


async def fill(
    lab: Lab, state: LabState, images: Sequence[tuple[ContainerImage, Path]], say: Callable[[str], None]
) -> None:
    """Run ``seed`` until nothing is missing."""

    async def once() -> tuple[str, list[str]]:
        began = time.monotonic()
        pushed, problems = await seed(lab, state, images)
        return f"{pushed} images added in {time.monotonic() - began:.1f} s" if pushed else "", problems

    await until_complete(once, say)


async def until_complete(once: Callable[[], Awaitable[tuple[str, list[str]]]], say: Callable[[str], None]) -> None:
    """Run ``once`` until it has no problems; it returns what it did ('': nothing), and a sentence for each problem.

    An unchanged problem is reported once.
    """
    known: set[str] = set()
    for pause in itertools.chain(RETRY, itertools.repeat(RETRY[-1])):
        did, problems = await once()
        for line in ([did] if did else []) + [problem for problem in problems if problem not in known]:
            say(f"registry: {line}")
        if not problems:
            return
        known = set(problems)
        await asyncio.sleep(pause)


async def seed(lab: Lab, state: LabState, images: Sequence[tuple[ContainerImage, Path]]) -> tuple[int, list[str]]:
    """Push missing images to the registry; return how many were pushed, and one sentence per problem.

    A missing image affects only the pods that need it, so one that can't be pushed doesn't stop the others.
    """
    count, problems = 0, []
    registry = f"{lab.network.server}:{ports.REGISTRY}"
    trust = state.run / "registry-ca"
    trust.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(state.pki / "server-ca.crt", trust / "ca.crt")
    context = ssl.create_default_context(cafile=str(trust / "ca.crt"))
    pushed = pushed_before(state)
    async with httpx2.AsyncClient(base_url=f"https://{registry}", verify=context, trust_env=False) as client:
        for image, archive in images:
            tag = f"{image.repository}:{image.tag}"
            source = f"{archive.parent.name}/{archive.name}"  # the store's folder is named by the content's hash
            try:
                if pushed.get(tag) == source and await _has(client, image):
                    continue
                problem = await push(archive, f"{registry}/{tag}", trust)
                if problem is None:
                    count += 1
                    pushed[tag] = source
                    files.write(state.registry / PUSHED, json.dumps(pushed, indent=1, sort_keys=True) + "\n")
                else:
                    problems.append(f"{image.name} could not be pushed: {problem}")
            except Exception as error:  # the registry is being started again, the disk is full, a damaged archive
                problems.append(f"{image.name} could not be pushed: {describe(error)}")
    return count, problems


def pushed_before(state: LabState) -> dict[str, str]:
    """Tag → the archive from which it was pushed, as far as known."""
    try:
        found: dict[str, str] = json.loads((state.registry / PUSHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


async def _has(client: httpx2.AsyncClient, image: ContainerImage) -> bool:
    where = f"/v2/{image.repository}/manifests/{image.tag}"
    return (await client.head(where, headers={"Accept": ", ".join(MANIFESTS)})).status_code == 200


async def push(archive: Path, target: str, trust: Path) -> str | None:
    """Push one archive; return None, or skopeo's last message."""
    return await _outcome(await cage.start(push_words(archive, target, trust)))


def push_words(archive: Path, target: str, trust: Path) -> list[str | Path]:
    """The command that pushes one archive; ``trust`` is a folder with the registry's CA."""
    # zstd is unpacked several times as fast as gzip, and a control plane waits for that. Only OCI's manifests name it.
    argv: list[str | Path] = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-cert-dir", trust]
    argv += ["--format", "oci", "--dest-compress-format", "zstd"]
    return [*argv, f"{transport(archive)}:{archive}", f"docker://{target}"]


async def _outcome(process: asyncio.subprocess.Process) -> str | None:
    """None once it has ended well, or its last words; cancelled, it is killed."""
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        cage.kill(process)
        await process.wait()
        raise
    if process.returncode == 0:
        return None
    return output.decode(errors="replace").strip().splitlines()[-1][-300:] if output.strip() else "it said nothing"


def transport(archive: Path) -> str:
    """skopeo's name for the archive's format; an archive in both formats counts as docker's."""
    with tarfile.open(archive) as tar:
        return "docker-archive" if "manifest.json" in tar.getnames() else "oci-archive"
