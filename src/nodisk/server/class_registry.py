"""Who may do what in the class registry, and how full it is.

An image is called ``NAMESPACE/NAME``. Who may create pods in a namespace may push its images, who may see them may pull
them; the API server is asked, with the token that somebody shows as their password. So there are no accounts beside the
class's own: a token that was rotated, suspended or has expired is no good here either.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import os
import re
import shutil
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs

import httpx2

from nodisk import ports
from nodisk.kube.errors import ApiError
from nodisk.pki.profiles import Ca
from nodisk.spec.model import Lab
from nodisk.spec.model_class_registry import ClassRegistry

KEEP = 10.0
"""Seconds for which an answer of the API server is remembered, as it remembers tokens itself."""
MOST = 4096
"""Answers that are remembered."""
PATIENCE = 10.0
"""Seconds for the API server's answer."""
LOOK = 5.0
"""Seconds between two looks at how full the registry is."""
SWEEP = 3600.0
"""Seconds between two looks for namespaces that are gone; the second one that misses one takes its images."""
LONGEST = 512
"""Characters of a path."""

_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_TOKEN = re.compile(r"[A-Za-z0-9._-]{16,8192}")
_NAMESPACE = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(rf"({_NAMESPACE})((?:/{_COMPONENT})+)")
_ASKED = re.compile(
    rf"/v2/({_NAMESPACE})((?:/{_COMPONENT})+?)"
    r"/(?:tags/list|manifests/[A-Za-z0-9_][A-Za-z0-9._:-]{0,255}|blobs/sha(?:256|512):[0-9a-f]{64,128}"
    r"|blobs/uploads/[A-Za-z0-9=_-]{0,128})"
)


class Right(StrEnum):
    """What of pods somebody may do in a namespace."""

    PULL = "get"
    PUSH = "create"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants of the registry."""

    namespace: str | None
    """None: nothing but to know whether the credentials are good (``GET /v2/``)."""
    right: Right
    source: str | None = None
    """The namespace of the image out of which a layer is to be used again."""
    adds: bool = False
    """Whether the registry may be fuller afterwards."""


def asked(method: str, uri: str) -> Asked | None:
    """What a request asks for, by the OCI distribution specification 1.0; None: nothing that is given here."""
    path, _, query = uri.partition("?")
    reads = method in ("GET", "HEAD")
    if path == "/v2/" and reads:
        return Asked(None, Right.PULL)
    match = _ASKED.fullmatch(path)
    if match is None or len(path) > LONGEST or not (reads or method in _CHANGES):
        return None
    if reads:
        return Asked(match[1], Right.PULL)
    try:
        return Asked(match[1], Right.PUSH, _source(query) if method == "POST" else None, adds=method != "DELETE")
    except ValueError:
        return None


def _source(query: str) -> str | None:
    """The namespace of the image that ``mount`` is to take a layer from; None: it isn't asked for."""
    there = parse_qs(query, max_num_fields=8).get("from", [])
    if not there:
        return None
    image = _IMAGE.fullmatch(there[0])
    if image is None or len(there) > 1:
        raise ValueError(query)
    return image[1]


def token_of(authorization: str) -> str | None:
    """The password of HTTP's Basic scheme (RFC 7617) if it can be a token; the user's name is nobody's business."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        password = base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password if _TOKEN.fullmatch(password) else None


class Away(Exception):
    """The API server doesn't answer."""


class Rights:
    """Asks the API server what somebody may do, and remembers it for a while; belongs to one event loop."""

    def __init__(self, http: httpx2.AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``http``: to the API server; it is closed with this."""
        self._http = http
        self._clock = clock
        self._known: dict[bytes, tuple[float, bool | None]] = {}

    @classmethod
    def of(cls, lab: Lab, pki: Path) -> Rights:
        """Of a lab; ``pki`` is the folder of its authorities."""
        tls = ssl.create_default_context(cadata=(pki / f"{Ca.CLUSTER}.crt").read_text())
        url = f"https://{lab.network.server}:{ports.API}"
        return cls(httpx2.AsyncClient(base_url=url, verify=tls, timeout=PATIENCE, trust_env=False))

    def known(self, token: str, namespace: str, right: Right) -> bool:
        """Whether the API server need not be asked."""
        found = self._known.get(_key(token, namespace, right))
        return found is not None and found[0] > self._clock()

    async def may(self, token: str, namespace: str, right: Right) -> bool | None:
        """Whether the token's owner may; None: the API server doesn't know the token. Raises Away."""
        key = _key(token, namespace, right)
        until, answer = self._known.pop(key, (0.0, None))
        if until <= self._clock():
            answer = await self._ask(token, namespace, right)
            until = self._clock() + KEEP
        self._known[key] = (until, answer)
        if len(self._known) > MOST:
            self._known.pop(next(iter(self._known)))
        return answer

    async def _ask(self, token: str, namespace: str, right: Right) -> bool | None:
        attributes = {"namespace": namespace, "verb": str(right), "resource": "pods"}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._http.post(_REVIEW, json=body, headers={"Authorization": f"Bearer {token}"})
            if answer.status_code in (401, 403):  # 403: somebody without a name
                return None
            if answer.status_code != 201:
                raise Away
            return answer.json()["status"].get("allowed") is True
        except (httpx2.HTTPError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise Away from error

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def _key(token: str, namespace: str, right: Right) -> bytes:
    return hashlib.sha256(f"{token} {namespace} {right}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes on the disk."""

    total: int
    by_namespace: dict[str, int]


def use(root: Path) -> Use:
    """How full docker-registry's folder is; a layer counts for each namespace whose images have it, and once in all."""
    top = root / "docker/registry/v2"
    sizes: dict[str, int] = {}
    for data in top.glob("blobs/sha256/*/*/data"):
        sizes[data.parent.name] = _size(data)
    total, layers, uploads = sum(sizes.values()), defaultdict[str, set[str]](set), defaultdict[str, int](int)
    repositories = top / "repositories"
    for path, names, _ in os.walk(repositories):
        folder = Path(path)
        if folder.name in ("_layers", "_uploads", "_manifests"):
            namespace = folder.relative_to(repositories).parts[0]
            if folder.name == "_layers":
                layers[namespace] |= {link.name for link in folder.glob("sha256/*")}
            if folder.name == "_uploads":
                uploads[namespace] += sum(_size(data) for data in folder.glob("*/data"))
            names.clear()
    found = {name: sum(sizes.get(one, 0) for one in layers[name]) + uploads[name] for name in {*layers, *uploads}}
    return Use(total + sum(uploads.values()), found)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was finished, or given up, meanwhile
        return 0


@dataclass(slots=True)
class Fullness:
    """Whether there is room for more, by a look at the disk now and then."""

    limits: ClassRegistry
    root: Path
    clock: Callable[[], float] = time.monotonic
    _use: Use = Use(0, {})
    _looked: float = -LOOK
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def problem(self, namespace: str) -> str | None:
        """Why nothing more may be pushed to a namespace; None: it may."""
        async with self._lock:
            if self.clock() - self._looked >= LOOK:
                self._use = await asyncio.to_thread(use, self.root)
                self._looked = self.clock()
        if self._use.by_namespace.get(namespace, 0) >= self.limits.per_namespace.bytes:
            return f"the images of {namespace} have taken all of their {self.limits.per_namespace}"
        if self._use.total >= self.limits.size.bytes:
            return f"the registry is full: {self.limits.size}"
        return None


def forget_untagged(root: Path) -> int:
    """Forget manifests that no tag leads to, of a registry that doesn't run; returns how many.

    docker-registry's own ``--delete-untagged`` takes an index for the end: of an image for several platforms, or with
    an attestation as BuildKit pushes it, the parts would be gone (2.8; https://github.com/distribution/distribution/issues/3178).
    """
    top, count = root / "docker/registry/v2", 0
    for revisions in (top / "repositories").glob("**/_manifests/revisions"):
        wanted = {link.read_text() for link in revisions.parent.glob("tags/*/current/link")}
        asked = list(wanted)
        while asked:
            parts = _parts(top, asked.pop()) - wanted
            wanted |= parts
            asked += parts
        for folder in revisions.glob("sha256/*"):
            if f"sha256:{folder.name}" not in wanted:
                shutil.rmtree(folder)
                count += 1
    return count


def _parts(top: Path, digest: str) -> set[str]:
    """The manifests that an index names; of anything else none."""
    name = digest.removeprefix("sha256:")
    try:
        found = json.loads((top / "blobs/sha256" / name[:2] / name / "data").read_bytes())
        return {str(part["digest"]) for part in found.get("manifests", [])}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def sweep(root: Path, namespaces: Collection[str], missed: set[str]) -> tuple[set[str], list[str]]:
    """Remove the images of namespaces that are gone, if they were ``missed`` before; their layers go with the next
    collection of garbage. Returns who is missing now, and whose images were removed.
    """
    folder = root / "docker/registry/v2/repositories"
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    gone = there - set(namespaces)
    removed = sorted(gone & missed)
    for name in removed:
        shutil.rmtree(folder / name)
    return gone - set(removed), removed


async def keep(root: Path, ask: Callable[[], Collection[str]], say: Callable[[str], None]) -> None:
    """Sweep for ever. ``ask``: the cluster's namespaces; raises ApiError while it doesn't answer."""
    missed: set[str] = set()
    while True:
        with contextlib.suppress(ApiError):
            there = await asyncio.to_thread(ask)
            missed, removed = await asyncio.to_thread(sweep, root, there, missed)
            for name in removed:
                say(f"class registry: the images of {name} were removed: its namespace is gone")
        await asyncio.sleep(SWEEP)
