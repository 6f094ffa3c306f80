"""What differs between the class as it should be and as it is; and what a student has, as manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nodisk import yamltext
from nodisk.classes import credentials, reconcile, terminal
from nodisk.classes.desired import key, space
from nodisk.classes.features import RBAC
from nodisk.classes.manifests import CLASS, MANAGED_BY, STUDENT
from nodisk.classes.portable import bare, portable
from nodisk.classes.record import Account, Class
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Invalid, NotFound
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.spec.model import Lab
from nodisk.storage.volumes import Volume

# Kinds by which somebody could widen or narrow what a student may do.
GUARDED = (
    (f"{RBAC}/v1", "RoleBinding"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
)
RACES = 5
"""Times that an object is compared which changes meanwhile."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that isn't as nodisk made it."""

    namespace: str
    object: str
    what: str

    def to_json(self) -> dict[str, str]:
        """As ``--output json`` prints it."""
        return asdict(self)


def find(
    client: Client,
    record: Class,
    lab: Lab,
    volumes: Mapping[str, Volume] | None = None,
    tokens: Mapping[str, str] | None = None,
) -> list[Difference]:
    """Everything of the class that was changed, removed or added by somebody else.

    Asks the API server what applying again would give (a dry run), so defaults and spellings don't count.
    ``volumes``: student's key → storage on the server; ``tokens``: account's key → token that was handed out.
    """
    wanted = reconcile.desired_in(client, lab)(record, volumes=volumes)
    compared = all_or_raise(in_parallel(lambda obj: compare(client, obj), wanted))
    differences = [difference for difference in compared if difference is not None]
    differences += _added(client, record, wanted)
    differences += _dead(client, record, tokens or {})
    labelled = client.list("v1", "Namespace", labels=f"{CLASS}={record.name},{STUDENT}", metadata_only=True)
    for name in sorted({item["metadata"]["name"] for item in labelled} - record.spaces):
        differences.append(Difference(name, f"Namespace {name}", "has the class's label, but belongs to no student"))
    return differences


def compare(client: Client, wanted: Object) -> Difference | None:
    """How an object is not as it is wanted; None: it is."""
    meta = wanted["metadata"]
    namespace = space(wanted)
    name = f"{wanted['kind']} {meta['name']}"
    try:
        there = _get(client, wanted)
        for _ in range(RACES):
            paths = sorted(_paths(bare(there), bare(client.apply(wanted, dry_run=True))))
            if not paths:
                return None
            before, there = there, _get(client, wanted)
            if before["metadata"]["resourceVersion"] == there["metadata"]["resourceVersion"]:
                break
            # Somebody, most likely a controller, has just written to it: what differs may be that.
    except Invalid as error:
        return Difference(namespace, name, f"can't be compared: {error.message}")
    except NotFound:
        return Difference(namespace, name, "is gone")
    return Difference(namespace, name, f"changed: {', '.join(paths[:5])}")


def _get(client: Client, wanted: Object) -> Object:
    meta = wanted["metadata"]
    return client.get(wanted["apiVersion"], wanted["kind"], meta["name"], namespace=meta.get("namespace"))


def _paths(left: Any, right: Any, at: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            yield from _paths(left.get(key), right.get(key), f"{at}.{key}" if at else key)
    elif left != right:
        yield at


def _added(client: Client, record: Class, wanted: Sequence[Object]) -> list[Difference]:
    """What is of a guarded kind and not nodisk's: in the class's namespaces, or a right of its accounts elsewhere."""
    spaces, known = record.spaces, {key(obj)[1:] for obj in wanted}
    found = []
    for api_version, kind in (*GUARDED, (f"{RBAC}/v1", "ClusterRoleBinding")):
        for item in client.list(api_version, kind, metadata_only=not kind.endswith("RoleBinding")):
            namespace, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
            theirs = namespace in spaces or any(_of(spaces, subject) for subject in item.get("subjects") or [])
            if theirs and (kind, namespace, name) not in known:
                found.append(Difference(namespace, f"{kind} {name}", "was not created by nodisk"))
    return found


def _of(spaces: Collection[str], subject: Object) -> bool:
    """Whether a subject of a binding is an account of these namespaces, or all accounts of one."""
    if subject["kind"] == "ServiceAccount":
        return subject.get("namespace") in spaces
    group, _, space = subject["name"].rpartition(":")
    return group == "system:serviceaccounts" and space in spaces


def _dead(client: Client, record: Class, tokens: Mapping[str, str]) -> list[Difference]:
    """Accounts whose credential was handed out and is good for nothing."""
    held = [account for account in (*record.students, *record.teachers) if account.key in tokens]
    good = all_or_raise(
        in_parallel(lambda a: credentials.accepted(client.with_token(tokens[a.key]), record.identities), held)
    )
    return [
        Difference(record.identities, f"ServiceAccount {account.service_account}", "its token is no longer accepted")
        for account, accepted in zip(held, good, strict=True)
        if not accepted
    ]


def export(client: Client, record: Class, chosen: Sequence[Account]) -> dict[str, str]:
    """Student's label → manifests (YAML) of what the student made: ready for ``kubectl apply`` elsewhere.

    Left out: what nodisk or a controller made, running pods' copies, events, tokens, and the server's own fields.
    """
    by_space = {record.namespace(student): student.label for student in chosen}
    documents: dict[str, list[Object]] = {label: [] for label in by_space.values()}
    for api_version, resource in client.discovery.namespaced("list", "create", but=_NOT_THEIRS):
        if resource.kind in _NOT_MADE:
            continue
        for item in client.list(api_version, resource.kind):
            label = by_space.get(item["metadata"].get("namespace", ""))
            if label is not None and _by_hand(item):
                documents[label].append(portable(item))
    return {label: yamltext.dump_all(items) if items else "" for label, items in documents.items()}


_NOT_THEIRS = frozenset({"metrics.k8s.io", "events.k8s.io", "discovery.k8s.io", "extensions"})
_NOT_MADE = frozenset({"Event", "Endpoints", "EndpointSlice", "ControllerRevision", "Lease", "PodTemplate"})


def _by_hand(item: Object) -> bool:
    meta = item["metadata"]
    if meta.get("ownerReferences") or (meta.get("labels") or {}).get(MANAGED_BY) == "nodisk":
        return False
    if item["kind"] == "Pod" and terminal.LABEL in (meta.get("labels") or {}):
        return False
    if item["kind"] == "Secret" and item.get("type") == "kubernetes.io/service-account-token":
        return False
    if item["kind"] == "ServiceAccount" and meta["name"] == "default":
        return False
    return not (item["kind"] == "ConfigMap" and meta["name"] == "kube-root-ca.crt")
