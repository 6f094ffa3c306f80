"""Students' and teachers' accounts after they are made: suspend, rotate, empty, remove, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from nodisk.classes import applier, credentials, homes, reconcile, teardown
from nodisk.classes.credentials import Credential
from nodisk.classes.desired import changes, owner, shared, space
from nodisk.classes.features import features
from nodisk.classes.manifests import CLASS, MANAGED_BY
from nodisk.classes.reconcile import Applied
from nodisk.classes.record import Account, Class
from nodisk.classes.teardown import OnGone
from nodisk.kube.client import Client, Object
from nodisk.parallel import all_or_raise
from nodisk.spec.model import Lab

TIME_LIMIT = 120.0
# What a student makes, for the account of what was deleted.
COUNTED = (
    ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
)  # fmt: skip


def set_suspended(
    client: Client, record: Class, lab: Lab, chosen: Sequence[Account], suspended: bool, *, by_hand: bool = False
) -> Applied:
    """Take away or give back the right of students or teachers; credentials, namespaces and what runs in them stay.

    The record is changed for those alone that didn't fail. ``by_hand``: the teacher wants it so, and a class that is
    extended doesn't change that.
    """

    def changed(account: Account, suspended: bool) -> Account:
        facts = {"suspended": suspended, "by_hand": suspended and (by_hand or account.by_hand)}
        return account.model_copy(update=facts)

    wanted = reconcile.desired_in(client, lab)
    # From the opposite, so that a right is written again also where the record has it like that already.
    before, after = (wanted(record.with_accounts(changed(a, so) for a in chosen)) for so in (not suspended, suspended))
    failed = _failed(record, chosen, applier.apply(client, changes(before, after)[0], lambda *_: None))
    done = [changed(account, suspended) for account in chosen if account.label not in failed]
    return Applied(record.with_accounts(done), failed=failed)


def _failed(record: Class, chosen: Sequence[Account], outcomes: Mapping[str, object]) -> dict[str, Exception]:
    """Who of the chosen isn't as wanted, by label; a teacher has a right in every student's namespace."""
    errors = {label: error for label, error in outcomes.items() if isinstance(error, Exception)}
    first = next(iter(errors.values()), None)
    found = {who.label: errors.get(who.label, first if who in record.teachers else None) for who in chosen}
    return {label: error for label, error in found.items() if error is not None}


def rotate(client: Client, record: Class, lab: Lab, chosen: Sequence[Account]) -> Applied:
    """New credentials. An old one loses its right at once (its ServiceAccount is in no RoleBinding any more), and is
    not even recognised after the API server's token cache has forgotten it, ten seconds later.
    """
    wanted = reconcile.desired_in(client, lab)
    renewed = {old.label: old.model_copy(update={"credential": old.credential + 1}) for old in chosen}
    minted = reconcile.mint(client, record, wanted(record.with_accounts(renewed.values())), renewed)
    # The right follows the new credential; an account that could get none keeps the old one.
    new = {label: one for label, one in minted.items() if isinstance(one, Credential)}
    changed, gone = changes(wanted(record), wanted(record.with_accounts(one.account for one in new.values())))

    def use(label: str, _: list[Object]) -> None:
        for student in record.students:
            if student.label == label and label in new and not student.suspended:
                credentials.first_call(client.with_token(new[label].token), record.namespace(student))

    moved = applier.apply(client, (obj for obj in changed if space(obj) != record.identities), use)
    failed = {label: error for label, error in minted.items() if isinstance(error, Exception)}
    failed |= _failed(record, [old for old in chosen if old.label in new], moved)
    applier.delete(client, (obj for obj in gone if owner(obj) not in failed))
    good = {one.account.key: one for label, one in new.items() if label not in failed}
    return Applied(record.with_accounts(one.account for one in good.values()), good, failed)


def census(client: Client, namespaces: Iterable[str]) -> Counter[str]:
    """How many objects of which kind students have there; one list per kind, however many namespaces."""
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
    on_gone: OnGone = lambda: None,
) -> Counter[str]:
    """Delete the students' namespaces and wait until they are gone; returns what was in them."""
    spaces = [record.namespace(student) for student in chosen]
    found = census(client, spaces)
    teardown.delete_namespaces(client, spaces, limit=limit, on_gone=on_gone)
    return found


def remove(
    client: Client,
    record: Class,
    lab: Lab,
    chosen: Sequence[Account],
    *,
    on_gone: OnGone = lambda: None,
) -> Counter[str]:
    """Delete accounts: their credentials first, then the students' namespaces; returns what was in them."""
    students = [account for account in chosen if account not in record.teachers]
    wanted = reconcile.desired_in(client, lab)
    new, gone = changes(wanted(record), wanted(record.without(chosen)))
    all_or_raise(applier.apply(client, new, lambda *_: None).values())
    spaces = {record.namespace(student) for student in students}
    applier.delete(client, (obj for obj in gone if space(obj) not in spaces))
    return empty(client, record, students, limit=TIME_LIMIT, on_gone=on_gone)


def delete(
    client: Client,
    record: Class,
    staying: AbstractContextManager[Sequence[Class]],
    *,
    limit: float = TIME_LIMIT,
    on_gone: OnGone = lambda: None,
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
        there = features(client)
        used = [obj for other in others for obj in shared(other, there)]
        applier.delete(client, changes(shared(record, there), used)[1])
    return found


def _unrecorded(client: Client, known: set[str]) -> bool:
    labelled = client.list("v1", "Namespace", labels=f"{MANAGED_BY}=nodisk,{CLASS}", metadata_only=True)
    return any(item["metadata"]["labels"][CLASS] not in known for item in labelled)
