"""The name of a container image, as container runtimes read it (the grammar of github.com/distribution/reference)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nodisk.values import Parsed

PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TAG, DIGEST = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", r"sha256:[0-9a-f]{64}"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?"
_PATH = re.compile(rf"{PART}(?:/{PART})*")
_NAME = re.compile(rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PATH.pattern})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")
_LONGEST = 512
"""Characters; anything longer is no name."""


@dataclass(frozen=True, slots=True)
class ImageName(Parsed):
    """By tag, by digest or both, in the whole form that container runtimes give it."""

    host: str
    path: str
    """In that registry, and in the lab's."""
    tag: str
    """Empty for one by digest alone."""
    digest: str
    """``sha256:…``; empty for one by tag alone."""
    schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """``nginx`` is ``docker.io/library/nginx:latest``; raises ValueError for what is no name."""
        match = _NAME.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            raise ValueError(f"{text[:80]!r} is not the name of a container image")
        host, path = match["host"], match["path"]
        if host is not None and "." not in host and ":" not in host and host != "localhost":
            host, path = None, f"{host}/{path}"
            if _PATH.fullmatch(path) is None:
                raise ValueError(f"{text[:80]!r} is not the name of a container image: it has capital letters")
        host = host or "docker.io"
        path = f"library/{path}" if host == "docker.io" and "/" not in path else path
        return cls(host, path, match["tag"] or ("" if match["digest"] else "latest"), match["digest"] or "")

    @property
    def repository(self) -> str:
        """Its registry and path: ``docker.io/library/nginx``."""
        return f"{self.host}/{self.path}"

    @property
    def short(self) -> str:
        """The repository as people write it: ``nginx``, ``grafana/grafana``, ``ghcr.io/a/b``."""
        return self.path.removeprefix("library/") if self.host == "docker.io" else self.repository

    def at(self, digest: str) -> str:
        """The same image by a digest; the tag stays in it for people."""
        return f"{self.repository}{self.tag and f':{self.tag}'}@{digest}"

    @property
    def program(self) -> str:
        """The last part of the path: ``nginx``."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"{self.repository}{self.tag and f':{self.tag}'}{self.digest and f'@{self.digest}'}"
