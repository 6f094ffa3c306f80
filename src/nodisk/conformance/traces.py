"""What a killed spec leaves outside its namespace, told apart from what others made meanwhile. Pure.

A spec that ends by itself takes away what it made. One that is killed leaves webhook configurations that refuse
requests, APIServices that nobody answers, node labels, taints and resources. What is the suite's for certain:

- what refers to one of its namespaces (``webhook-5466``) or carries that name in its own name or in a label;
- what has a name or a label that its source gives and nobody else: those are in the tables below.

All else that was not there before may be an administrator's, who had the cluster at the same time: that is only named.
The names are those of Kubernetes 1.20's ``test/e2e``. Objects are the API's JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodisk.errors import IntegrityError
from nodisk.kube.client import Object
from nodisk.kube.objects import going

LABEL = "e2e-run"
"""Every namespace that the suite's framework makes has it; its value is a process' own id."""
RBAC = "rbac.authorization.k8s.io/v1"
KINDS = (
    # First what would stand in the way of deleting the rest.
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    (RBAC, "ClusterRoleBinding"),
    (RBAC, "ClusterRole"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("v1", "PersistentVolume"),
    ("node.k8s.io/v1", "RuntimeClass"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"),
)
"""(API version, kind) without namespaces that specs make objects of."""
SYSTEM = "kube-system"
IN_SYSTEM = ((RBAC, "RoleBinding"), ("v1", "Pod"))
"""Kinds of which specs make objects in ``kube-system``."""
COME_AND_GO = frozenset({"CertificateSigningRequest", *(kind for _, kind in IN_SYSTEM)})
"""Kinds whose objects appear by themselves in any cluster: of these only the suite's own are told."""

FAKES = frozenset({"scheduling.k8s.io/foo", "example.com/fakecpu", "example.com/fakePTSRes", "example.com/beardsecond"})
"""Resources that specs give to nodes, to be scheduled by."""
_EVICTS = "kubernetes.io/e2e-evict-taint-key:"
_ON_NODES = re.compile(r"kubernetes\.io/e2e-(taint-key-|label-key-)?[0-9a-f-]+(:.*)?")
"""Keys that end with a UUID. Others of that beginning are people's, too: an example of Kubernetes' own pages is one."""
_COLOUR = "daemonset-color"
_ODD = frozenset({"exempted-namesapce", "fail-closed-namesapce"})
"""Namespaces without the label; the suite's own spelling."""
_MARKERS = "-markers"
_LABELS = frozenset({LABEL, "e2e-list-test-uuid"})
_PREFIX = "e2e-test-"
_NAMES = {
    "ClusterRoleBinding": r"wardler:.+",
    "ClusterRole": r"sample-apiserver-reader",
    "RoleBinding": r"wardler-auth-reader|crd-conversion-webhook-auth-reader",
    "PriorityClass": r"sched-preemption-(low|medium|high)-priority",
    "CertificateSigningRequest": r"e2e-example-csr-.+",
}
_OF_OTHERS = (
    "app.kubernetes.io/managed-by",
    "kubernetes.io/bootstrapping",
    "kube-aggregator.kubernetes.io/automanaged",
)
"""Labels of what a controller keeps: nodisk, the API server itself, or Helm."""
_DOMAINS = ("kubernetes.io", "k8s.io", "nodisk.dev")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class NodeMarks:
    """The keys that are on a node."""

    labels: frozenset[str]
    taints: frozenset[str]
    """``KEY:EFFECT``."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before the suite began."""

    cluster: str
    """The UID of the cluster's own namespace: what was there in another cluster of that name says nothing."""
    uids: frozenset[str]
    """Of the objects of all kinds above."""
    nodes: Mapping[str, NodeMarks]

    def to_json(self) -> dict[str, Any]:
        """As the state holds it."""
        nodes = {name: {"labels": sorted(one.labels), "taints": sorted(one.taints)} for name, one in self.nodes.items()}
        return {"format": FORMAT, "cluster": self.cluster, "uids": sorted(self.uids), "nodes": nodes}


def from_json(value: Any) -> Before:
    """What ``Before.to_json`` gave; raises IntegrityError for anything else."""
    try:
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']} is another nodisk's")
        nodes = {
            str(name): NodeMarks(_texts(one["labels"]), _texts(one["taints"])) for name, one in value["nodes"].items()
        }
        return Before(str(value["cluster"]), _texts(value["uids"]), nodes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"what was there before can't be read: {type(error).__name__}: {error}") from error


def _texts(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("a value is of another kind")
    return frozenset(value)


def remember(cluster: str, objects: Iterable[Object], nodes: Iterable[Object]) -> Before:
    """What is there now; ``cluster``: the UID of ``kube-system``."""
    return Before(
        cluster,
        frozenset(one["metadata"]["uid"] for one in objects),
        {one["metadata"]["name"]: NodeMarks(frozenset(_labels(one)), frozenset(_taints(one))) for one in nodes},
    )


@dataclass(frozen=True, slots=True)
class Thing:
    """An object."""

    api_version: str
    kind: str
    name: str
    uid: str
    namespace: str | None = None

    @classmethod
    def of(cls, obj: Object) -> Thing:
        """As the API has it."""
        meta = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], meta["name"], meta["uid"], meta.get("namespace"))

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def removal(self) -> str:
        """The command that removes it."""
        where = f"-n {self.namespace} " if self.namespace else ""
        return f"nodisk kubectl {where}delete {self.kind.lower()} {self.name}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on a node."""

    node: str
    what: str
    """``label``, ``taint`` or ``resource``."""
    key: str
    """Of a taint ``KEY:EFFECT``."""

    def __str__(self) -> str:
        return f"{self.what} {self.key} of node {self.node}"

    @property
    def removal(self) -> str:
        """The command that removes it (labels and taints)."""
        return f"nodisk kubectl {self.what} node {self.node} {self.key}-"


@dataclass(frozen=True, slots=True)
class Found:
    """What there is that was not there before."""

    ours: tuple[Thing, ...]
    """The suite's for certain."""
    marks: tuple[Mark, ...]
    """The same on nodes."""
    others: tuple[Thing | Mark, ...]
    """What may be somebody else's."""


def is_space(namespace: Object) -> bool:
    """Whether a namespace is one of the suite's."""
    name, labels = namespace["metadata"]["name"], _labels(namespace)
    return LABEL in labels or name in _ODD or (name.endswith(_MARKERS) and labels.get(name) == "true")


def judge(before: Before | None, spaces: Collection[str], objects: Iterable[Object], nodes: Iterable[Object]) -> Found:
    """Tell apart what is the suite's; ``spaces``: its namespaces.

    Without ``before`` only what refers to one of these, and what specs alone put on nodes.
    """
    ours: list[Thing] = []
    others: list[Thing | Mark] = []
    for obj in objects:
        new = before is not None and obj["metadata"]["uid"] not in before.uids
        if (new or before is None) and (_is_of(obj, spaces) or (new and _is_known(obj))):
            ours.append(Thing.of(obj))
        elif new and not _is_kept(obj):
            others.append(Thing.of(obj))
    marks: list[Mark] = []
    unsure: list[Mark] = []
    for node in nodes:
        name = node["metadata"]["name"]
        was = before.nodes.get(name) if before is not None else None
        for mark in _marks(node):
            if mark.what == "resource" or mark.key.startswith(_EVICTS):
                marks.append(mark)
            elif was is None:
                marks += [mark] if _ON_NODES.fullmatch(mark.key) else []
            elif mark.key not in (was.labels if mark.what == "label" else was.taints):
                (marks if mark.key == _COLOUR or _ON_NODES.fullmatch(mark.key) else unsure).append(mark)
    others += [one for one in unsure if not _is_system(one.key)]
    return Found(tuple(ours), tuple(marks), tuple(others))


def taints_without(node: Object, marks: Collection[Mark]) -> list[Object]:
    """A node's taints less those of ``marks``."""
    gone = {mark.key for mark in marks if mark.what == "taint" and mark.node == node["metadata"]["name"]}
    return [one for one in (node.get("spec") or {}).get("taints") or [] if _taint(one) not in gone]


def _is_of(obj: Object, spaces: Collection[str]) -> bool:
    """Whether it carries the name of one of these namespaces, or refers to these and no others."""
    words = [obj["metadata"]["name"], *_labels(obj), *_labels(obj).values()]
    patterns = [re.compile(rf"(?<![a-z0-9-]){re.escape(space)}(?![a-z0-9])") for space in spaces]
    if any(pattern.search(word) for pattern in patterns for word in words):
        return True
    refers = set(_references(obj))
    return bool(refers) and refers.issubset(spaces)


def _is_known(obj: Object) -> bool:
    """Whether its name or its labels are such as the suite alone gives."""
    name, kind = obj["metadata"]["name"], obj["kind"]
    if kind == "Pod":
        return any(FAKES & set(_requests(container)) for container in obj["spec"].get("containers") or [])
    if _is_somebodys(obj):
        return False
    if name.startswith(_PREFIX) or _LABELS & set(_labels(obj)):
        return True
    return kind in _NAMES and re.fullmatch(_NAMES[kind], name) is not None


def _is_kept(obj: Object) -> bool:
    """Whether a controller keeps it or takes it away, so that an administrator need not."""
    return obj["kind"] in COME_AND_GO or _is_somebodys(obj) or going(obj)


def _is_somebodys(obj: Object) -> bool:
    marked = any(label in _labels(obj) for label in _OF_OTHERS)
    return marked or bool(obj["metadata"].get("ownerReferences"))


def _references(obj: Object) -> Iterator[str]:
    """The namespaces that it refers to; ``""`` stands for something that is in none."""
    spec = obj.get("spec") or {}
    if obj["kind"] == "APIService":
        yield from _service(spec)
    elif obj["kind"] == "PersistentVolume":
        yield (spec.get("claimRef") or {}).get("namespace") or ""
    elif obj["kind"] == "CustomResourceDefinition":
        yield from _service(((spec.get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {})
    for hook in obj.get("webhooks") or []:
        yield from _service(hook.get("clientConfig") or {})
    for subject in obj.get("subjects") or []:
        group = re.fullmatch(r"system:serviceaccounts?:([a-z0-9-]+)(:.+)?", subject.get("name", ""))
        yield subject.get("namespace") or (group.group(1) if group else "")


def _service(of: Mapping[str, Any]) -> Iterator[str]:
    yield (of.get("service") or {}).get("namespace") or ""


def _marks(node: Object) -> Iterator[Mark]:
    name = node["metadata"]["name"]
    yield from (Mark(name, "label", key) for key in _labels(node))
    yield from (Mark(name, "taint", key) for key in _taints(node))
    yield from (Mark(name, "resource", key) for key in (node.get("status") or {}).get("capacity") or {} if key in FAKES)


def _is_system(key: str) -> bool:
    """Whether a label's or a taint's key belongs to the cluster itself (``node.kubernetes.io/unschedulable``)."""
    if key.startswith("kubernetes.io/e2e-"):
        return False
    domain, slash, _ = key.rpartition("/")
    return bool(slash) and any(domain == one or domain.endswith(f".{one}") for one in _DOMAINS)


def _labels(obj: Object) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("labels") or {}
    return found


def _taints(node: Object) -> Iterator[str]:
    return (_taint(one) for one in (node.get("spec") or {}).get("taints") or [])


def _taint(one: Object) -> str:
    return f"{one['key']}:{one['effect']}"


def _requests(container: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (container.get("resources") or {}).get("requests") or {}
    return found
