"""Container images from the registries that publish them, by their digest, into archives of docker's format."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from nodisk.assets import sandbox
from nodisk.assets.work import Work
from nodisk.errors import NodiskError, TimedOut

OFFICIAL = "https://registry.k8s.io"
_ASK_SECONDS, _LOAD_SECONDS = 120, 1800
_PLATFORM = ("--override-os=linux", "--override-arch=amd64")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def source_of(name: str, registry: str = OFFICIAL) -> tuple[str, str, list[str]]:
    """Where ``name`` is: repository, tag, and skopeo's option for a registry without TLS.

    ``registry`` other than the official one stands in for every image's own registry.
    """
    path, _, tag = name.rpartition(":")
    host, slash, rest = path.partition("/")
    if not slash or ("." not in host and ":" not in host and host != "localhost"):
        host, rest = "docker.io", path if slash else f"library/{path}"
    if registry == OFFICIAL:
        return f"{host}/{rest}", tag, []
    scheme, _, address = registry.partition("://")
    return f"{address}/{rest}", tag, [] if scheme == "https" else ["--tls-verify=false"]


async def pull(work: Work, name: str, target: Path, registry: str = OFFICIAL) -> str:
    """Load an image into a docker archive named ``name``; returns its digest. Its layers are checked by skopeo."""
    repository, tag, tls = source_of(name, registry)
    said: list[str] = []
    try:
        ask = ["skopeo", *_PLATFORM, "inspect", *tls, "--format={{.Digest}}", f"docker://{repository}:{tag}"]
        await _skopeo(work, ask, target, _ASK_SECONDS, said)
        digest = next((line for line in said if _DIGEST.fullmatch(line)), None)
        if digest is None:
            raise NodiskError("the registry names no digest")
        tls = [option.replace("--tls", "--src-tls") for option in tls]
        source = f"docker://{repository}@{digest}"
        load = ["skopeo", *_PLATFORM, "copy", "--quiet", *tls, source, f"docker-archive:{target}:{name}"]
        await _skopeo(work, load, target, _LOAD_SECONDS, said)
    except NodiskError as error:
        raise NodiskError(f"{name} can't be loaded from {repository}: {error.message}", hint=error.hint) from error
    return digest


async def _skopeo(work: Work, argv: list[str], target: Path, seconds: float, said: list[str]) -> None:
    """Run skopeo as a building program, so that it ends with this one; the host's proxies are its own, too."""
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    try:
        async with asyncio.timeout(seconds):
            await sandbox.build(argv, log_file=work.log(f"pull-{target.stem}"), env=proxies, on_line=said.append)
    except TimeoutError as error:
        raise TimedOut(f"skopeo did not end within {seconds:g} seconds") from error
