"""What differs between the class as it should be and as it is; and what a student has, as manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nodisk import yamltext
from nodisk.classes import accounts, homes, manifests, policy, reconcile
from nodisk.classes.manifests import MANAGED_BY, RBAC
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
    found, nets = policy.features(client), reconcile.networks(lab)
    wanted: list[Object] = [*manifests.identity_namespace(record, found), policy.cluster_role(client, record)]
    if found.admission_policy is not None:
        wanted += policy.admission_policies(found.admission_policy)
    if record.storage is not None:
        wanted.append(homes.storage_class())
    for teacher in record.teachers:
        wanted += manifests.identity(record, teacher)
    for student in record.students:
        wanted += manifests.student(record, student, nets, found)
        if (volume := (volumes or {}).get(student.key)) is not None:
            wanted += homes.objects(record, student, volume, lab)
    compared = all_or_raise(in_parallel(lambda obj: compare(client, obj), wanted))
    differences = [difference for difference in compared if difference is not None]
    differences += _added(client, record, wanted)
    differences += _dead(client, record, tokens or {})
    for name in accounts.stray(client, record):
        differences.append(Difference(name, f"Namespace {name}", "has the class's label, but belongs to no student"))
    return differences


def compare(client: Client, wanted: Object) -> Difference | None:
    """How an object is not as it is wanted; None: it is."""
    meta = wanted["metadata"]
    namespace = meta.get("namespace") or (meta["name"] if wanted["kind"] == "Namespace" else "")
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
    spaces = {record.identities, *(record.namespace(student) for student in record.students)}
    known = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in wanted}
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
        in_parallel(lambda a: reconcile.accepted(client.with_token(tokens[a.key]), record.identities), held)
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
    for group, versions in sorted(client.discovery.groups().items()):
        api_version = f"{group}/{versions[0]}" if group else versions[0]
        if group in ("metrics.k8s.io", "events.k8s.io", "discovery.k8s.io", "extensions"):
            continue
        for resource in client.discovery.resources(api_version).values():
            if not resource.namespaced or not {"list", "create"} <= resource.verbs or resource.kind in _NOT_MADE:
                continue
            for item in client.list(api_version, resource.kind):
                label = by_space.get(item["metadata"].get("namespace", ""))
                if label is not None and _by_hand(item):
                    documents[label].append(portable(item))
    return {label: yamltext.dump_all(items) if items else "" for label, items in documents.items()}


_NOT_MADE = frozenset({"Event", "Endpoints", "EndpointSlice", "ControllerRevision", "Lease", "PodTemplate"})


def _by_hand(item: Object) -> bool:
    meta = item["metadata"]
    if meta.get("ownerReferences") or (meta.get("labels") or {}).get(MANAGED_BY) == "nodisk":
        return False
    if item["kind"] == "Secret" and item.get("type") == "kubernetes.io/service-account-token":
        return False
    if item["kind"] == "ServiceAccount" and meta["name"] == "default":
        return False
    return not (item["kind"] == "ConfigMap" and meta["name"] == "kube-root-ca.crt")
