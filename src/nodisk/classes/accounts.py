"""Students' and teachers' accounts after they are made: suspend, rotate, empty, remove, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress

from nodisk.classes import homes, manifests, policy, reconcile, teardown
from nodisk.classes.manifests import CLASS, MANAGED_BY, STUDENT
from nodisk.classes.reconcile import Applied, Credential
from nodisk.classes.record import Account, Class
from nodisk.classes.teardown import OnGone
from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, NotFound
from nodisk.parallel import all_or_raise, in_parallel

TIME_LIMIT = 120.0
# What a student makes, for the account of what was deleted.
COUNTED = (
    ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
)  # fmt: skip


def set_suspended(
    client: Client, record: Class, chosen: Sequence[Account], suspended: bool, *, by_hand: bool = False
) -> Applied:
    """Take away or give back the right of students or teachers; credentials, namespaces and what runs in them stay.

    The record is changed for those alone that didn't fail. ``by_hand``: the teacher wants it so, and a class that is
    extended doesn't change that.
    """

    def changed(account: Account) -> Account:
        facts = {"suspended": suspended, "by_hand": suspended and (by_hand or account.by_hand)}
        return account.model_copy(update=facts)

    def one(account: Account) -> None:
        binding = manifests.access(record, account)
        if suspended:
            _apply_where_there(client, binding)
        else:
            reconcile.apply_binding(client, binding)

    result = Applied(record)
    students = [changed(account) for account in chosen if account not in record.teachers]
    for student, outcome in zip(students, in_parallel(one, students), strict=True):
        if isinstance(outcome, Exception):
            result.failed[student.label] = outcome
        else:
            result.record = result.record.with_account(student)
    if len(students) < len(chosen):
        with_teachers = result.record
        for account in chosen:
            if account in record.teachers:
                with_teachers = with_teachers.with_account(changed(account))
        try:
            bind_teachers(client, with_teachers)
        except NodiskError as error:
            result.failed |= {account.label: error for account in chosen if account in record.teachers}
        else:
            result.record = with_teachers
    return result


def bind_teachers(client: Client, record: Class) -> None:
    """Give the teachers of the record their right in all students' namespaces, and nobody else."""

    def one(student: Account) -> None:
        binding = manifests.teachers(record, student)
        meta = binding["metadata"]
        if record.teachers:
            _apply_where_there(client, binding)
        else:
            client.delete(binding["apiVersion"], binding["kind"], meta["name"], namespace=meta["namespace"])

    all_or_raise(in_parallel(one, record.students))


def _apply_where_there(client: Client, binding: Object) -> None:
    """Apply a binding unless its namespace is gone, or going without it: nobody has a right there that way either."""
    with suppress(NotFound):
        try:
            reconcile.apply_binding(client, binding)
        except Forbidden as error:
            # Only what isn't there is refused so: in a namespace that is going nothing is made, but things change.
            if "being terminated" not in error.message:
                raise


def rotate(client: Client, record: Class, chosen: Sequence[Account]) -> Applied:
    """New credentials. An old one loses its right at once (its ServiceAccount is in no RoleBinding any more), and is
    not even recognised after the API server's token cache has forgotten it, ten seconds later.
    """

    def one(old: Account) -> Credential:
        new = old.model_copy(update={"credential": old.credential + 1})
        secret = [client.apply(obj) for obj in manifests.identity(record, new)][-1]
        credential = reconcile.mint(client, record, new, secret)
        if any(new.key == teacher.key for teacher in record.teachers):
            return credential
        reconcile.apply_binding(client, manifests.access(record, new))
        _drop_identity(client, record, old)
        if not new.suspended:
            reconcile.first_call(client.with_token(credential.token), record.namespace(new))
        return credential

    result = Applied(record)
    for old, outcome in zip(chosen, in_parallel(one, chosen), strict=True):
        if isinstance(outcome, Exception):
            result.failed[old.label] = outcome
        else:
            result.record = result.record.with_account(outcome.account)
            result.credentials[old.key] = outcome
    rotated = [old for old in chosen if old in record.teachers and old.label not in result.failed]
    if rotated:
        bind_teachers(client, result.record)
        for old in rotated:
            _drop_identity(client, record, old)
    return result


def _drop_identity(client: Client, record: Class, account: Account) -> None:
    for obj in reversed(manifests.identity(record, account)):
        client.delete("v1", obj["kind"], obj["metadata"]["name"], namespace=record.identities)


def census(client: Client, namespaces: Iterable[str]) -> Counter[str]:
    """How many objects of which kind students have there; one list a kind, however many namespaces."""
    there = set(namespaces)
    found: Counter[str] = Counter()
    for api_version, kind in COUNTED:
        if client.supports(api_version, kind):
            items = client.list(api_version, kind, metadata_only=True)
            found[kind] += sum(item["metadata"].get("namespace") in there for item in items)
    return +found


def empty(
    client: Client,
    record: Class,
    chosen: Sequence[Account],
    *,
    limit: float = TIME_LIMIT,
    on_gone: OnGone = teardown.unheard,
) -> Counter[str]:
    """Delete the students' namespaces and wait until they are gone; returns what was in them."""
    spaces = [record.namespace(student) for student in chosen]
    found = census(client, spaces)
    teardown.delete_namespaces(client, spaces, limit=limit, on_gone=on_gone)
    return found


def remove(
    client: Client,
    record: Class,
    chosen: Sequence[Account],
    *,
    on_gone: OnGone = teardown.unheard,
) -> Counter[str]:
    """Delete accounts: their credentials first, then the students' namespaces; returns what was in them."""
    students = [account for account in chosen if account not in record.teachers]
    if len(students) < len(chosen):
        bind_teachers(client, record.without(chosen))
    all_or_raise(in_parallel(lambda account: _drop_identity(client, record, account), chosen))
    return empty(client, record, students, limit=TIME_LIMIT, on_gone=on_gone)


def delete(
    client: Client,
    record: Class,
    staying: AbstractContextManager[Sequence[Class]],
    *,
    limit: float = TIME_LIMIT,
    on_gone: OnGone = teardown.unheard,
) -> Counter[str]:
    """Delete the class: every namespace that has its label, also of students whom the record forgot.

    ``staying``: gives the classes that stay (``record.staying``); without any, roles and policies that hold for all go
    too. It is entered when the namespaces are gone: that takes minutes, in which somebody may make a class. Classes
    without a record (those of ``nodisk verify``) have namespaces: while there are such, what is shared stays.
    """
    labelled = client.list("v1", "Namespace", labels=f"{MANAGED_BY}=nodisk,{CLASS}={record.name}", metadata_only=True)
    spaces = [item["metadata"]["name"] for item in labelled]
    found = census(client, [name for name in spaces if name != record.identities])
    # The identities go first: from here on no credential of the class is good for anything.
    spaces.sort(key=lambda name: name != record.identities)
    teardown.delete_namespaces(client, spaces, limit=limit, on_gone=on_gone)
    homes.detach(client, record, None, limit=limit)
    with staying as others:
        if _unrecorded(client, {record.name, *(other.name for other in others)}):
            return found
        for version, kind, name in _shared(client, record, others):
            client.delete(version, kind, name)
    return found


def _unrecorded(client: Client, known: set[str]) -> bool:
    labelled = client.list("v1", "Namespace", labels=f"{MANAGED_BY}=nodisk,{CLASS}", metadata_only=True)
    return any(item["metadata"]["labels"][CLASS] not in known for item in labelled)


def _shared(client: Client, record: Class, others: Sequence[Class]) -> list[tuple[str, str, str]]:
    found = []
    role = manifests.student_role(record)
    if role not in {manifests.student_role(other) for other in others}:
        found.append((f"{manifests.RBAC}/v1", "ClusterRole", role))
    if record.storage is not None and all(other.storage is None for other in others):
        found.append(("storage.k8s.io/v1", "StorageClass", homes.STORAGE_CLASS))
    version = policy.features(client).admission_policy
    if version is not None and not others:
        objects = policy.admission_policies(version)
        found += [(o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in reversed(objects)]
    return found


def stray(client: Client, record: Class) -> list[str]:
    """Namespaces that have the class's label, but that the record doesn't know."""
    known = {record.identities, *(record.namespace(student) for student in record.students)}
    labelled = client.list("v1", "Namespace", labels=f"{CLASS}={record.name},{STUDENT}", metadata_only=True)
    return sorted(item["metadata"]["name"] for item in labelled if item["metadata"]["name"] not in known)
