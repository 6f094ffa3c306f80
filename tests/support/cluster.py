"""The API client of a cluster that is only a table: for tests of what is asked of it, and in which order."""

from __future__ import annotations

import threading
from typing import cast

from nodisk.classes.desired import key
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import NotFound

Key = tuple[str, str, str, str]
"""API version, kind, namespace, name."""


class Cluster:
    """What ``Client`` does with objects, by the same names; what belongs to an object goes with it.

    There are no defaults, versions, selectors or copies: whatever hangs on those is tried on the real API server, in
    tests/api. What admission, a kubelet or a controller does is ``becomes``, which a test overrides.
    """

    def __init__(self, *objects: Object) -> None:
        self.objects: dict[Key, Object] = {key(obj): obj for obj in objects}
        self.written: list[Object] = []
        self.deleted: list[Key] = []
        self.graces: set[int | None] = set()
        """The seconds of grace of all that was deleted; None: as usual."""
        self.patched: list[tuple[str, str, Object]] = []
        """Kind, name and change of each; nothing comes of them."""
        self.lock = threading.RLock()

    @property
    def client(self) -> Client:
        """As what is tested wants it."""
        return cast("Client", self)

    def becomes(self, obj: Object) -> Object:
        """What is kept of an object that is written; raises what it is refused with."""
        return obj

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object:
        with self.lock:
            if (found := self.objects.get((api_version, kind, namespace or "", name))) is None:
                raise NotFound(f"{kind} {name}: not found", status=404)
            return found

    def list(self, api_version: str, kind: str, *, namespace: str | None = None, **_selection: object) -> list[Object]:
        with self.lock:
            return [
                obj
                for (version, what, space, _), obj in self.objects.items()
                if (version, what) == (api_version, kind) and namespace in (None, space)
            ]

    def create(self, obj: Object) -> Object:
        with self.lock:
            assert key(obj) not in self.objects, f"{key(obj)} is there"
            return self.apply(obj)

    def apply(self, obj: Object) -> Object:
        with self.lock:
            made = self.objects[key(obj)] = self.becomes(obj)
            self.written.append(obj)
            return made

    def patch(self, api_version: str, kind: str, name: str, change: Object, *, namespace: str | None = None) -> None:
        self.patched.append((kind, name, change))

    def delete(
        self, api_version: str, kind: str, name: str, *, namespace: str | None = None, grace: int | None = None
    ) -> bool:
        gone = (api_version, kind, namespace or "", name)
        with self.lock:
            self.deleted.append(gone)
            self.graces.add(grace)
            for at, obj in list(self.objects.items()):
                owners = obj["metadata"].get("ownerReferences", [])
                if any((owner["kind"], owner["name"]) == (kind, name) for owner in owners) and at[2] == gone[2]:
                    del self.objects[at]
            return self.objects.pop(gone, None) is not None
