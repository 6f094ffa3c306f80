"""ApplySets (Kubernetes' KEP-3659): objects that belong together, and go from the cluster when they leave the set.

A parent object (here a ConfigMap in kube-system) has the set's id, and the kinds and namespaces in which its members
are; every member has a label with that id. So a later client, another nodisk or kubectl, finds the members without
a list that could be lost. The parent names everything before the first member is written, so that an apply that is cut
off forgets none of them; what left the set is deleted only when all the rest could be applied.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, NotFound, Overloaded, Unreachable

ID = "applyset.kubernetes.io/id"
PART_OF = "applyset.kubernetes.io/part-of"
TOOLING = "applyset.kubernetes.io/tooling"
KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
CONTENT = "nodisk.dev/content"
"""On the parent: the hash of what was applied as a whole; empty while an apply goes on or failed."""
TOOL = "nodisk/v1"
HOME = "kube-system"
PREFIX = "nodisk-addon-"
PAUSES = (0.0, 1.0, 3.0)
"""Seconds before each attempt: a kind that another object defines takes a moment to be served."""
_FIRST = ("Namespace", "CustomResourceDefinition")
"""What others need, and what takes others with it when it goes: applied first, deleted last, never adopted."""


class Member(NamedTuple):
    """An object's identity, whatever version of the API it was written in."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Parent:
    """A set as the cluster knows it."""

    name: str
    kinds: frozenset[tuple[str, str]] = frozenset()
    """Kind and group of each member."""
    namespaces: frozenset[str] = frozenset()
    content: str = ""

    @property
    def id(self) -> str:
        """Its id, as the KEP computes it."""
        place = f"{PREFIX}{self.name}.{HOME}.ConfigMap."
        digest = hashlib.sha256(place.encode()).digest()
        return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"

    def object(self) -> Object:
        """The ConfigMap."""
        kinds = sorted(f"{kind}.{group}" if group else kind for kind, group in self.kinds)
        annotations = {
            TOOLING: TOOL,
            KINDS: ",".join(kinds),
            NAMESPACES: ",".join(sorted(self.namespaces - {HOME})),
            CONTENT: self.content,
        }
        meta = {"name": PREFIX + self.name, "namespace": HOME, "labels": {ID: self.id}, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


@dataclass(slots=True)
class Outcome:
    """What an apply did, or would do."""

    applied: list[Member] = field(default_factory=list)
    removed: list[Member] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """One sentence for each object that was refused; nothing is removed then."""


def parse(item: Object) -> Parent | None:
    """A parent as the API returns it; None for an object that is not nodisk's."""
    meta = item["metadata"]
    notes, name = meta.get("annotations") or {}, meta["name"].removeprefix(PREFIX)
    if name == meta["name"] or notes.get(TOOLING, "").partition("/")[0] != "nodisk":
        return None
    kinds = (word.partition(".") for word in notes.get(KINDS, "").split(",") if word)
    spaces = frozenset(filter(None, notes.get(NAMESPACES, "").split(",")))
    return Parent(name, frozenset((kind, group) for kind, _, group in kinds), spaces, notes.get(CONTENT, ""))


def parents(client: Client) -> dict[str, Parent]:
    """The sets of nodisk that the cluster has, by name."""
    found = client.list("v1", "ConfigMap", namespace=HOME, labels=ID)
    return {parent.name: parent for parent in map(parse, found) if parent is not None}


@dataclass(frozen=True, slots=True)
class Found:
    """A member that the cluster has."""

    member: Member
    api_version: str
    uid: str


def members(client: Client, parent: Parent) -> list[Found]:
    """The objects of a set that the cluster has, those that others depend on last."""
    found = []
    for kind, group in sorted(parent.kinds):
        if (served := _served(client, kind, group)) is None:
            continue  # its definition is gone, and every object with it
        for item in client.list(served, kind, labels=f"{PART_OF}={parent.id}", metadata_only=True):
            meta = item["metadata"]
            found.append(Found(Member(group, kind, meta.get("namespace", ""), meta["name"]), served, meta["uid"]))
    return sorted(found, key=lambda one: (_rank(one.member.kind), one.member), reverse=True)


def _served(client: Client, kind: str, group: str) -> str | None:
    versions = client.discovery.groups().get(group, [])
    return client.first_supported(kind, [f"{group}/{version}" if group else version for version in versions])


def _rank(kind: str) -> int:
    return _FIRST.index(kind) - len(_FIRST) if kind in _FIRST else 0


def apply(client: Client, name: str, objects: Sequence[Object], content: str) -> Outcome:
    """Make the cluster have exactly these objects in the set; raises ApiError if the API can't be asked at all.

    An object that is refused, or is another set's, is named in the outcome and stops no other one.
    """
    before = parents(client).get(name, Parent(name))
    kinds = frozenset((item["kind"], _group(item["apiVersion"])) for item in objects)
    spaces = frozenset(space for item in objects if (space := item["metadata"].get("namespace") or "default"))
    widest = Parent(name, before.kinds | kinds, before.namespaces | spaces)
    client.apply(widest.object())
    outcome = Outcome()
    left = sorted(objects, key=lambda item: _rank(item["kind"]))
    for pause in PAUSES:
        if not left:
            break
        time.sleep(pause)
        if pause:
            client.discovery.renew()
        refused: list[Object] = []
        outcome.problems = []
        for item in left:
            try:
                outcome.applied.append(_apply_one(client, item, widest.id))
            except (Unreachable, Overloaded):
                raise
            except (ApiError, ValueError) as error:
                refused.append(item)
                outcome.problems.append(f"{identity(item)}: {error}")
        left = refused
    if outcome.problems:
        return outcome
    outcome.removed = _delete(client, widest, keep=set(outcome.applied))
    client.apply(Parent(name, kinds, spaces, content).object())
    return outcome


def remove(client: Client, name: str) -> list[Member]:
    """Delete a set's objects, and then the set; what is gone already is no mistake."""
    parent = parents(client).get(name)
    if parent is None:
        return []
    gone = _delete(client, parent, keep=set())
    client.delete("v1", "ConfigMap", PREFIX + name, namespace=HOME)
    return gone


def _delete(client: Client, parent: Parent, *, keep: set[Member]) -> list[Member]:
    gone = []
    for one in members(client, parent):
        if one.member not in keep:
            _, kind, space, name = one.member
            client.delete(one.api_version, kind, name, namespace=space or None, uid=one.uid)
            gone.append(one.member)
    return gone


def placed(client: Client, item: Object) -> Object:
    """The object with the namespace that kubectl would give it: ``default`` if it needs one and names none."""
    meta = {key: value for key, value in item["metadata"].items() if key != "namespace"}
    if client.discovery.resource(item["apiVersion"], item["kind"]).namespaced:
        meta["namespace"] = item["metadata"].get("namespace") or "default"
    return item | {"metadata": meta}


def current(client: Client, item: Object) -> Object | None:
    """What the cluster has in place of an object; None if nothing."""
    meta = item["metadata"]
    try:
        return client.get(item["apiVersion"], item["kind"], meta["name"], namespace=meta.get("namespace"))
    except NotFound:
        return None


def labelled(item: Object, there: Object | None, id_: str) -> Object:
    """The object as a member of a set; raises ValueError if it is another set's.

    A Namespace or a definition that was there before the set stays without the label, and so is never deleted with it.
    """
    mark = ((there or {}).get("metadata", {}).get("labels") or {}).get(PART_OF)
    if mark is not None and mark != id_:
        raise ValueError(f"it belongs to another ApplySet ({mark})")
    if there is not None and mark is None and item["kind"] in _FIRST:
        return item
    labels = (item["metadata"].get("labels") or {}) | {PART_OF: id_}
    return item | {"metadata": item["metadata"] | {"labels": labels}}


def _apply_one(client: Client, item: Object, id_: str) -> Member:
    item = placed(client, item)
    client.apply(labelled(item, current(client, item), id_))
    return identity(item)


def identity(item: Object) -> Member:
    """Who an object is, with the namespace that is written in it."""
    meta = item["metadata"]
    return Member(_group(item["apiVersion"]), item["kind"], meta.get("namespace") or "", meta["name"])


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
