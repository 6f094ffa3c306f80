"""Where the official files are: at their publishers, or on the mirrors that the environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from nodisk.errors import EnvironmentProblem

REGISTRY = "https://registry.k8s.io"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Servers, without a final slash. ``$NODISK_UPSTREAM_`` plus a field's name in capitals overrides one."""

    kubernetes: str = "https://dl.k8s.io"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    registry: str = REGISTRY
    """Any other than the official one replaces every image's own registry."""
    manifests: str = "https://raw.githubusercontent.com"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Upstream:
        """The official servers, unless the environment overrides them.

        Raises EnvironmentProblem for a variable that isn't an HTTP URL, before any request is sent.
        """
        named = {place.name: environment.get(variable(place.name), "").strip() for place in fields(cls)}
        return cls(**{name: _address(variable(name), value) for name, value in named.items() if value})


def variable(place: str) -> str:
    """The variable that overrides one of ``Upstream``'s servers."""
    return f"NODISK_UPSTREAM_{place.upper()}"


def _address(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, a bracket that isn't closed
        whole, parts = False, urlsplit("")
    if whole and parts.username is not None and name == variable("registry"):
        hint = "name a registry that gives its images without a login"
        raise EnvironmentProblem(f"${name} can't hold a name and a password", hint=hint)
    if whole and not (parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in value)):
        return value.rstrip("/")
    scheme, colon, _ = value.partition("://")
    if not colon:
        hint = f"begin it with https://, or with http:// for a server without TLS: {name}=https://{value}"
    elif scheme not in ("http", "https"):
        hint = "name a web server; for a folder of programs and images: kubernetes.source `path` in lab.yaml"
    else:
        hint = f"write it as {name}=https://HOST:PORT/PATH"
    raise EnvironmentProblem(f"${name} is not a web server URL: {value!r}", hint=hint)
