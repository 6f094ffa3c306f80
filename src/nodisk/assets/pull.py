"""Download container images from their registries by digest, into archives in docker's format."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from nodisk.assets import faults, sandbox, trust
from nodisk.assets.official import REGISTRY, variable
from nodisk.assets.work import Work
from nodisk.errors import CommandFailed, EnvironmentProblem, NodiskError, TimedOut
from nodisk.values import ImageRef

_ASK_SECONDS, _LOAD_SECONDS = 120, 1800
_PLATFORM = ("--override-os=linux", "--override-arch=amd64")
_RETRY = ("--retry-times=2",)
_PAUSES = (1, 4)
"""Seconds before what broke off is asked for again, which skopeo itself doesn't try."""
_BROKE_OFF = re.compile(r"\bEOF\b|connection reset|broken pipe|timeout|timed out")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def source_of(image: ImageRef, registry: str = REGISTRY) -> tuple[str, list[str]]:
    """An image's repository, and skopeo's option for a registry without TLS.

    A ``registry`` other than the official one replaces every image's own registry.
    """
    host = image.host or "docker.io"
    path = image.path if image.host or "/" in image.path else f"library/{image.path}"
    if registry == REGISTRY:
        return f"{host}/{path}", []
    scheme, _, address = registry.partition("://")
    return f"{address}/{path}", [] if scheme == "https" else ["--tls-verify=false"]


async def pull(work: Work, image: ImageRef, target: Path, registry: str = REGISTRY) -> str:
    """Download an image into a docker archive under its own name; return its digest. skopeo verifies its layers.

    The archive is kept in the cache, so that the next build doesn't download it again if this one fails later.
    """
    repository, tls = source_of(image, registry)
    with told(str(image), repository, registry):
        digest = await published(work, image, target.stem, registry)
        kept = _kept(work, digest, target)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(kept.name + ".part")
            part.unlink(missing_ok=True)  # skopeo would add to it
            tls = [option.replace("--tls", "--src-tls") for option in tls]
            source = f"docker://{repository}@{digest}"
            load = ["skopeo", *_PLATFORM, "copy", "--quiet", *_RETRY, *tls, source, f"docker-archive:{part}:{image}"]
            await _skopeo(work, load, target.stem, _LOAD_SECONDS)
            await asyncio.to_thread(_keep, part, kept)
    await asyncio.to_thread(shutil.copyfile, kept, target)
    return digest


async def published(work: Work, image: ImageRef, log: str, registry: str = REGISTRY) -> str:
    """The digest to which a registry's tag leads now: of an index of platforms, or of one image."""
    repository, tls = source_of(image, registry)
    said: list[str] = []
    where = f"docker://{repository}:{image.tag}"
    ask = ["skopeo", *_PLATFORM, "inspect", *_RETRY, *tls, "--format={{.Digest}}", where]
    await _patiently(work, ask, log, _ASK_SECONDS, said)
    digest = next((line for line in said if _DIGEST.fullmatch(line)), None)
    if digest is None:
        raise NodiskError(
            f"{image} can't be loaded: the registry {repository} names no digest",
            hint=f"a registry of your own: ${variable('registry')}",
        )
    return digest


async def exact(work: Work, image: ImageRef, digest: str, folder: Path, registry: str = REGISTRY) -> None:
    """Load the image that a digest names (of an index: the one for the machines) into ``folder``, byte by byte.

    Without a digest, what the tag leads to. The folder is new, in skopeo's format ``dir``: ``version``,
    ``manifest.json``, and every blob under its hash.
    """
    repository, tls = source_of(image, registry)
    tls = [option.replace("--tls", "--src-tls") for option in tls]
    log = f"{image.program}-{digest.removeprefix('sha256:')[:12] or image.tag}"
    place = f"@{digest}" if digest else f":{image.tag}"
    words = ["skopeo", *_PLATFORM, "copy", "--quiet", *_RETRY, "--preserve-digests", *tls]
    await _patiently(work, [*words, f"docker://{repository}{place}", f"dir:{folder}"], log, _LOAD_SECONDS)


async def _patiently(work: Work, argv: list[str], log: str, seconds: float, said: list[str] | None = None) -> None:
    """Run skopeo, and again if a connection broke off; it starts a folder over by itself."""
    for pause in (*_PAUSES, None):
        try:
            await _skopeo(work, argv, log, seconds, said)
        except CommandFailed as error:
            if pause is None or not _BROKE_OFF.search(error.output):
                raise
            await asyncio.sleep(pause)
        else:
            return


@contextlib.contextmanager
def told(image: str, repository: str, registry: str = REGISTRY) -> Iterator[None]:
    """Turn what skopeo says of a failure into an error that says what to do."""
    try:
        yield
    except (CommandFailed, TimedOut) as error:
        words = error.output if isinstance(error, CommandFailed) else error.message
        reason, hint = explain(words, registry)
        raise EnvironmentProblem(f"{image} can't be loaded from {repository}: {reason}", hint=hint) from error


def forget(work: Work, digests: Iterable[str]) -> None:
    """Remove from the cache what is now in the store."""
    for digest in digests:
        for kept in (work.state.cache / "downloads").glob(f"{digest.replace(':', '-')}-*"):
            kept.unlink(missing_ok=True)


def _kept(work: Work, digest: str, target: Path) -> Path:
    return work.state.cache / "downloads" / f"{digest.replace(':', '-')}-{target.name}"


def _keep(part: Path, kept: Path) -> None:
    with part.open("rb") as file:  # nobody looks at its content again
        os.fsync(file.fileno())
    part.replace(kept)


_PASSWORD = re.compile(r"//[^/@\s]*@")
_MESSAGE = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_HINTS = (
    ("x509: ", trust.ADD_HINT),
    ("server gave HTTP response to HTTPS client", f"write the registry with http:// into ${variable('registry')}"),
    ("manifest unknown", f"a mirror of your own must hold it, too: ${variable('registry')}"),
    ("unauthorized", f"a mirror of your own must hold it, too, and ask for no login: ${variable('registry')}"),
    ("invalid character '<'", faults.PORTAL),
    ("unsupported MIME type for image: text/html", faults.PORTAL),
    ("Proxy Authentication Required", "give the proxy's variables a name and a password: http://NAME:PASSWORD@HOST"),
)


def explain(output: str, registry: str = REGISTRY) -> tuple[str, str]:
    """The meaning of skopeo's message in one line, and what to do."""
    found = _MESSAGE.findall(output)
    reason = found[-1].replace('\\"', '"') if found else (output.strip().splitlines() or ["it said nothing"])[-1]
    reason = _PASSWORD.sub("//", reason)
    if (lost := trust.missing_file()) and "x509: " in reason:
        return reason, f"{lost}; {trust.ADD_HINT}"
    own = "is the mirror up and its address right" if registry != REGISTRY else "a mirror of your own"
    return reason, next((hint for sign, hint in _HINTS if sign in reason), f"{own}: ${variable('registry')}")


async def _skopeo(work: Work, argv: list[str], log: str, seconds: float, said: list[str] | None = None) -> None:
    """Run skopeo as a build program, so that it ends with this process; its lines are added to ``said``."""
    try:
        async with asyncio.timeout(seconds):
            await sandbox.build(
                argv,
                log_file=work.log(f"pull-{log}"),
                env=trust.environment(),
                on_line=None if said is None else said.append,
            )
    except TimeoutError as error:
        raise TimedOut(f"skopeo timed out after {seconds:g} seconds") from error
