"""What this API server serves: kinds, their plural names and versions. Asked once per group and kept for the process.

Nothing about releases is hard-coded: whether a release has ValidatingAdmissionPolicy is a question to the API.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nodisk.kube.errors import NotFound

_CORE = ("v1", "apps/v1", "rbac.authorization.k8s.io/v1")
"""API versions to which nothing is added while an API server runs, and which are asked most."""
Get = Callable[[str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API serves it."""

    api_version: str
    """``v1`` or ``GROUP/VERSION``."""
    kind: str
    plural: str
    namespaced: bool
    """Such as ``token`` and ``status``."""
    verbs: frozenset[str]
    """Such as ``list`` and ``create``."""

    def path(self, *, name: str | None = None, namespace: str | None = None, subresource: str | None = None) -> str:
        """The URL's path; without ``namespace`` that of all namespaces."""
        parts = ["/api" if "/" not in self.api_version else "/apis", self.api_version]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            # A name such as "..", "a/b" or "" must never become another path.
            if name in ("", ".", "..") or "/" in name:
                raise ValueError(f"{name!r} is not the name of an object")
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


class Discovery:
    """The resources of an API server, by API version and kind; safe to use from many threads."""

    def __init__(self, get: Get, settle: Callable[[], None]) -> None:
        """``get`` returns what is at a path; ``settle`` returns once the server serves everything that it will."""
        self._get, self._settle = get, settle
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._known: dict[str, dict[str, Resource]] = {}

    def resources(self, api_version: str) -> dict[str, Resource]:
        """Kind → resource of one API version; empty if this release doesn't serve it."""
        if (known := self._known.get(api_version)) is not None:
            return known
        with self._lock:
            asking = self._asking.setdefault(api_version, threading.Lock())
        with asking:  # several versions at once, each once
            if api_version not in self._known:
                self._known[api_version] = self._ask(api_version)
            return self._known[api_version]

    def renew(self) -> None:
        """Ask again, when next needed, about what wasn't served: a CustomResourceDefinition may have come since."""
        with self._lock:
            for api_version in [version for version, found in self._known.items() if version not in _CORE or not found]:
                del self._known[api_version]

    def _ask(self, api_version: str) -> dict[str, Resource]:
        prefix = "/api/" if "/" not in api_version else "/apis/"
        try:
            answer = self._get(prefix + api_version)
        except NotFound:
            self._settle()  # a server that has just begun says so of groups that it will have in a moment
            try:
                answer = self._get(prefix + api_version)
            except NotFound:
                return {}
        entries = answer.get("resources") or []
        return {
            entry["kind"]: Resource(
                api_version=api_version,
                kind=entry["kind"],
                plural=entry["name"],
                namespaced=entry["namespaced"],
                verbs=frozenset(entry.get("verbs") or ()),
            )
            for entry in entries
            if "/" not in entry["name"]
        }

    def resource(self, api_version: str, kind: str) -> Resource:
        """One kind; raises NotFound if this release doesn't serve it."""
        found = self.resources(api_version).get(kind)
        if found is None:
            raise NotFound(f"this cluster's API has no {kind} in {api_version}", status=404, reason="NotFound")
        return found

    def supports(self, api_version: str, kind: str) -> bool:
        """Whether this release serves a kind in that version."""
        return kind in self.resources(api_version)

    def groups(self) -> dict[str, list[str]]:
        """API group → its versions, the preferred one first; the core group is ``""``."""
        found: dict[str, list[str]] = {"": list(self._get("/api").get("versions") or [])}
        for group in self._get("/apis").get("groups") or []:
            preferred = group.get("preferredVersion", {}).get("version")
            versions = [entry["version"] for entry in group["versions"]]
            found[group["name"]] = sorted(versions, key=lambda version: version != preferred)
        return found

    def namespaced(self, *verbs: str, but: Collection[str] = ()) -> Iterator[tuple[str, Resource]]:
        """(API version, resource) of each namespaced kind that has these verbs, in its group's preferred version.

        ``but``: groups that aren't even asked: one that another program serves may not answer.
        """
        for group, versions in sorted(self.groups().items()):
            if group in but:
                continue
            api_version = f"{group}/{versions[0]}" if group else versions[0]
            for resource in self.resources(api_version).values():
                if resource.namespaced and resource.verbs.issuperset(verbs):
                    yield api_version, resource
