"""Who may do what in the class registry; ``class_registry_disk`` has what is on the disk.

An image is called ``NAMESPACE/NAME``. An account that may create pods in a namespace may push its images; one that may
see them may pull them; the API server is asked, with the token that somebody shows as their password. So there are no
accounts beside the class's own: a token that was rotated, suspended or has expired is no good here either.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs

import httpx2

from nodisk import ports
from nodisk.pki.profiles import Ca
from nodisk.spec.model import Lab

KEEP = 10.0
"""Seconds for which an answer of the API server is remembered, as it remembers tokens itself."""
MOST = 4096
"""Answers that are remembered."""
PATIENCE = 10.0
"""Seconds for the API server's answer."""
GOOD = 3600.0
"""Seconds for which a token that the API server knew is nobody's guess."""
LONGEST = 512
"""Characters of a path."""

T = TypeVar("T")
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
        self._good: dict[bytes, float] = {}

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
        _keep(self._known, key, (until, answer))
        if answer is not None:
            _keep(self._good, _key(token), self._clock())
        return answer

    def good(self, token: str) -> bool:
        """Whether the API server has known the token lately."""
        return self._clock() - self._good.get(_key(token), -GOOD) < GOOD

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


def _key(*words: str) -> bytes:
    return hashlib.sha256(" ".join(words).encode()).digest()


def _keep(kept: dict[bytes, T], key: bytes, value: T) -> None:
    """The newest last; the oldest goes."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > MOST:
        kept.pop(next(iter(kept)))
