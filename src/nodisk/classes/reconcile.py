"""Reconcile the cluster with a class's record: everything is applied, so a second run completes what one began."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from nodisk.classes import homes, manifests, policy
from nodisk.classes.handouts import digest
from nodisk.classes.manifests import CLASS, Features, Networks
from nodisk.classes.record import Account, Class, now
from nodisk.errors import NodiskError, UsageError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, Invalid, Unauthorized
from nodisk.kube.objects import going
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.spec.model import Lab
from nodisk.storage.volumes import Volume
from nodisk.waiting import Deadline

WORKERS = 16
# How long a fresh right may take to be known to the API server (its caches follow etcd by milliseconds).
SETTLE = 10.0


@dataclass(frozen=True, slots=True)
class Credential:
    """A token that was just made; it is in memory and in the handouts only."""

    account: Account
    token: str = field(repr=False)


@dataclass(slots=True)
class Applied:
    """What came of it."""

    record: Class
    credentials: dict[str, Credential] = field(default_factory=dict)
    """By account key: those made now. Who is absent keeps the one handed out before."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """By account label."""


def networks(lab: Lab) -> Networks:
    """The lab's own networks, which students' pods may not reach."""
    return Networks(lab.network.subnet, lab.kubernetes.pods, lab.kubernetes.services)


def refuse_foreign(client: Client, record: Class) -> None:
    """Raise UsageError if a namespace that the class needs is there and isn't the class's, or is still going."""
    wanted = {record.identities, *(record.namespace(student) for student in record.students)}
    problems = []
    for found in client.list("v1", "Namespace", metadata_only=True):
        meta = found["metadata"]
        if meta["name"] not in wanted:
            continue
        owner = (meta.get("labels") or {}).get(CLASS)
        if owner != record.name:
            problems.append(
                f"{meta['name']}: " + (f"belongs to the class {owner}" if owner else "was not made by nodisk")
            )
        elif going(found):
            problems.append(f"{meta['name']} is still being deleted")
    if problems:
        raise UsageError(
            "namespaces that this class needs are in use:\n  " + "\n  ".join(sorted(problems)),
            hint="choose another class name, or delete them first",
        )


def prepare(client: Client, record: Class) -> Features:
    """Apply roles, admission policies and the class's own namespace; returns what the release can do."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        role = pool.submit(policy.cluster_role, client, record)
        pool.submit(client.discovery.resources, "networking.k8s.io/v1")  # asked here, so that no student waits for it
        found = policy.features(client)
    space, *rest = manifests.identity_namespace(record, found)
    client.apply(space)
    shared = [role.result()]
    if found.admission_policy is not None:
        shared += policy.admission_policies(found.admission_policy)
    if record.storage is not None:
        shared.append(homes.storage_class())
    all_or_raise(in_parallel(client.apply, shared))
    for obj in rest:
        client.apply(obj)
    return found


def apply(
    client: Client,
    record: Class,
    lab: Lab,
    *,
    keep: Mapping[str, str] | None = None,
    on_done: Callable[[], None] = lambda: None,
    only: Sequence[Account] | None = None,
    volumes: Mapping[str, Volume] | None = None,
) -> Applied:
    """Apply the class; returns the record with the credentials' facts, and the tokens that were made.

    ``keep``: account key → token that is handed out already, and not made again while it is good until the end.
    ``only``: these students alone. ``volumes``: account key → storage on the server. A student that fails doesn't keep
    the others from being made.
    """
    found = prepare(client, record)
    keep = keep or {}
    result = Applied(record)
    for teacher in record.teachers:
        _note(result, _identity(client, record, teacher, keep))
    record = result.record
    nets = networks(lab)

    def one(account: Account) -> Credential | Account:
        volume = (volumes or {}).get(account.key)
        try:
            attach = None if volume is None else partial(homes.attach, client, record, account, volume, lab)
            return _student(client, record, account, nets=nets, found=found, keep=keep, attach=attach)
        finally:
            on_done()

    students = record.students if only is None else only
    for account, outcome in zip(students, in_parallel(one, students, workers=WORKERS), strict=True):
        if isinstance(outcome, Exception):
            result.failed[account.label] = outcome
        else:
            _note(result, outcome)
    return result


def _note(result: Applied, outcome: Credential | Account) -> None:
    account = outcome.account if isinstance(outcome, Credential) else outcome
    result.record = result.record.with_account(account)
    if isinstance(outcome, Credential):
        result.credentials[account.key] = outcome


def _student(
    client: Client,
    record: Class,
    account: Account,
    *,
    nets: Networks,
    found: Features,
    keep: Mapping[str, str],
    attach: Callable[[], None] | None,
) -> Credential | Account:
    made = {}
    for obj in manifests.student(record, account, nets, found):
        made[obj["kind"]] = apply_binding(client, obj)
    if attach is not None:
        attach()
    outcome = _credential(client, record, account, keep, made["Secret"])
    if isinstance(outcome, Credential) and not outcome.account.suspended:
        first_call(client.with_token(outcome.token), record.namespace(account))
    return outcome


def apply_binding(client: Client, obj: Object) -> Object:
    """Apply an object; a RoleBinding whose role changed can't be updated, so it is made anew."""
    try:
        return client.apply(obj)
    except Invalid:
        if obj["kind"] != "RoleBinding":
            raise
        meta = obj["metadata"]
        client.delete(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta["namespace"])
        return client.apply(obj)


def _identity(client: Client, record: Class, account: Account, keep: Mapping[str, str]) -> Credential | Account:
    made = [client.apply(obj) for obj in manifests.identity(record, account)]
    return _credential(client, record, account, keep, made[-1])


def _credential(
    client: Client, record: Class, account: Account, keep: Mapping[str, str], secret: Object
) -> Credential | Account:
    """A new credential; the account alone if the one that is held is good until the end."""
    held = keep.get(account.key)
    ours = held is not None and digest(held) == account.token_sha256 and account.until in (None, record.expires)
    if held is not None and ours and accepted(client.with_token(held), record.identities):
        return account
    return mint(client, record, account, secret)


def mint(client: Client, record: Class, account: Account, secret: Object) -> Credential:
    """Ask for a token that ends with the class, and dies with ``secret``; the expiry recorded is the server's."""
    seconds = max(600, math.ceil((record.expires - now()).total_seconds()))
    token, ends = client.token(record.identities, account.service_account, seconds=seconds, bound_to=secret)
    facts = {"token_sha256": digest(token), "expires": datetime.fromisoformat(ends), "until": record.expires}
    return Credential(account.model_copy(update=facts), token)


def accepted(holder: Client, namespace: str) -> bool:
    """Whether the API server knows the holder of a token, whatever that may do: not if it has expired, nor if its
    ServiceAccount, its Secret or the key that signed it is another by now.
    """
    try:
        holder.request("GET", holder.path("v1", "Pod", namespace=namespace), params={"limit": "1"})
    except Forbidden:
        return True
    except Unauthorized:
        return False
    return True


def first_call(student: Client, namespace: str) -> None:
    """Use a credential as its owner will: list the pods of the namespace. Raises NodiskError if that isn't allowed."""
    deadline = Deadline(SETTLE)
    path = student.path("v1", "Pod", namespace=namespace)
    while True:
        try:
            student.request("GET", path, params={"limit": "1"})
        except (Forbidden, Unauthorized) as error:
            if not deadline.pause(0.02):
                raise NodiskError(f"the new credential is not accepted in {namespace}: {error.message}") from error
        else:
            return
