"""The objects that a class is made of, all of them, as one list. Pure.

``desired`` is the only place where a record becomes objects. ``applier`` puts them into the cluster; what a change of
the record means is the difference of two such lists (``changes``); drift is one list beside what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodisk.classes import manifests, policy, terminal
from nodisk.classes.features import Features
from nodisk.classes.manifests import STUDENT, Networks
from nodisk.classes.record import Class
from nodisk.kube.client import Object
from nodisk.storage.volumes import Volume


def desired(
    record: Class, networks: Networks, features: Features, volumes: Mapping[str, Volume] | None = None
) -> list[Object]:
    """Every object of the class, each after those that it needs.

    ``volumes``: student's key → storage on the server, for those who have any.
    """
    objects = [*manifests.identity_namespace(record, features), *shared(record, features)]
    for teacher in record.teachers:
        objects += manifests.identity(record, teacher)
    for student in record.students:
        objects += manifests.student(record, student, networks, features)
        if record.has_terminals:
            objects.append(terminal.network_policy(record, student, networks))
        if volume := (volumes or {}).get(student.key):
            objects += manifests.storage(record, student, volume, networks)
    return objects


def shared(record: Class, features: Features) -> list[Object]:
    """Those that other classes may need as well."""
    objects = [policy.cluster_role(record, features)]
    if features.admission_policy is not None:
        objects += policy.admission_policies(features.admission_policy)
    if record.storage is not None:
        objects.append(manifests.storage_class())
    return objects


def key(obj: Object) -> tuple[str, str, str, str]:
    """API version, kind, namespace (empty: none), name: what tells an object from all others of the cluster."""
    meta = obj["metadata"]
    return obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"]


def space(obj: Object) -> str:
    """The namespace that an object is, or is in; empty: neither."""
    meta = obj["metadata"]
    return str(meta["name"] if obj["kind"] == "Namespace" else meta.get("namespace", ""))


def owner(obj: Object) -> str:
    """The label of the student or teacher whom the object is for; empty: it is the whole class's."""
    return str(obj["metadata"]["labels"].get(STUDENT, ""))


def changes(before: Iterable[Object], after: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """What to apply, and what to delete then, to come from one list to the other, each in the order to do so."""
    old, new = ({key(obj): obj for obj in objects} for objects in (before, after))
    gone = [obj for at, obj in old.items() if at not in new]
    return [obj for at, obj in new.items() if old.get(at) != obj], gone[::-1]
