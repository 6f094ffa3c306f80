"""Reconcile the cluster with a class's record: ``desired``, applied, then credentials.

Everything is applied, so a second run completes what one began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nodisk.classes import applier, credentials
from nodisk.classes.credentials import Credential
from nodisk.classes.desired import desired, owner, space
from nodisk.classes.features import features
from nodisk.classes.manifests import CLASS, Networks
from nodisk.classes.record import Account, Class
from nodisk.errors import UsageError
from nodisk.kube.client import Client, Object
from nodisk.kube.objects import going
from nodisk.spec.model import Lab
from nodisk.storage.volumes import Volume


@dataclass(slots=True)
class Applied:
    """What came of it."""

    record: Class
    credentials: dict[str, Credential] = field(default_factory=dict)
    """By account key: those made now. Who is absent keeps the one handed out before."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """By account label."""


def refuse_foreign(client: Client, record: Class) -> None:
    """Raise UsageError if a namespace that the class needs is there and isn't the class's, or is still going."""
    problems, spaces = [], record.spaces
    for found in client.list("v1", "Namespace", metadata_only=True):
        name, whose = found["metadata"]["name"], (found["metadata"].get("labels") or {}).get(CLASS)
        if name in spaces and whose != record.name:
            problems.append(f"{name}: " + (f"belongs to the class {whose}" if whose else "was not made by nodisk"))
        elif name in spaces and going(found):
            problems.append(f"{name} is still being deleted")
    if problems:
        raise UsageError(
            "namespaces that this class needs are in use:\n  " + "\n  ".join(sorted(problems)),
            hint="choose another class name, or delete them first",
        )


def desired_in(client: Client, lab: Lab) -> partial[list[Object]]:
    """``desired`` for this cluster as it is now: called with a record, and volumes where storage matters."""
    return partial(desired, networks=Networks.of(lab), features=features(client))


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
    the others from being made; ``on_done`` is called for each student who is complete.
    """
    students = {student.label: student for student in (record.students if only is None else only)}
    accounts = {teacher.label: teacher for teacher in record.teachers} | students

    def credential(label: str, made: list[Object]) -> Credential | None:
        account = accounts[label]
        held = (keep or {}).get(account.key)
        if held is not None and credentials.good(client, record, account, held):
            new = None
        else:
            new = credentials.mint(client, record, account, made)
            if label in students and not account.suspended:
                credentials.first_call(client.with_token(new.token), record.namespace(account))
        if label in students:
            on_done()
        return new

    wanted = [obj for obj in desired_in(client, lab)(record, volumes=volumes) if owner(obj) in {"", *accounts}]
    outcomes = applier.apply(client, wanted, credential)
    new = {one.account.key: one for one in outcomes.values() if isinstance(one, Credential)}
    failed = {label: error for label, error in outcomes.items() if isinstance(error, Exception)}
    return Applied(record.with_accounts(one.account for one in new.values()), new, failed)


def mint(
    client: Client, record: Class, objects: Iterable[Object], accounts: Mapping[str, Account]
) -> dict[str, Credential | Exception]:
    """New credentials for accounts (by label), whose identities are applied before; of ``objects`` nothing else is."""
    mine = [obj for obj in objects if space(obj) == record.identities and owner(obj) in accounts]
    return applier.apply(client, mine, lambda label, made: credentials.mint(client, record, accounts[label], made))
