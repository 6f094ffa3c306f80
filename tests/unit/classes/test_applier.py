"""The one applier: in which order objects are written, whom a failure stops, and what single kinds need besides."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from tests.unit.classes.test_desired import account, objects
from tests.unit.classes.test_manifests import one

from nodisk.classes import applier
from nodisk.classes.desired import key, owner, space
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, Forbidden, Invalid, NotFound

RECORD = one(students=(account("ala", 1, False), account("jan", 1, True)), storage="1Gi")
RIGHT = ("rbac.authorization.k8s.io/v1", "RoleBinding", "k8s-ala", "nodisk-student")


class Cluster:
    """Objects by key; ``fails``: what the API server says to the first attempts to write an object."""

    def __init__(self, **fails: Any) -> None:
        self.there: dict[Any, Object] = {}
        self.order: list[Any] = []
        self.deleted: list[Any] = []
        self.patched: list[Any] = []
        self.fails: dict[Any, list[ApiError]] = {}
        self.lock = threading.Lock()

    def apply(self, obj: Object) -> Object:
        with self.lock:
            if errors := self.fails.get(key(obj)):
                raise errors.pop(0)
            assert space(obj) in {"", *(name for _, kind, _, name in self.there if kind == "Namespace")} | (
                {space(obj)} if obj["kind"] == "Namespace" else set()
            )
            self.there[key(obj)] = obj
            self.order.append(key(obj))
            return obj

    def get(self, _version: str, kind: str, _name: str, *, namespace: str) -> Object:
        assert kind == "ResourceQuota"
        return {"status": {"used": {"persistentvolumeclaims": "0"}}}

    def list(self, *_: str, **__: Any) -> list[Object]:
        return [{"metadata": {"uid": "new"}}]

    def patch(self, _version: str, kind: str, name: str, change: Object) -> None:
        self.patched.append((kind, name, change))

    def delete(self, version: str, kind: str, name: str, *, namespace: str | None) -> bool:
        with self.lock:
            self.deleted.append((version, kind, namespace or "", name))
            return self.there.pop((version, kind, namespace or "", name), None) is not None


def put(cluster: Cluster, made: list[Object]) -> dict[str, int | Exception]:
    return applier.apply(cast(Client, cluster), made, lambda _, there: len(there))


def test_all_is_written_each_owners_in_order_and_what_is_common_first() -> None:
    cluster, wanted = Cluster(), objects(RECORD)
    outcomes = put(cluster, wanted)
    assert cluster.there == {key(obj): obj for obj in wanted}
    common = [key(obj) for obj in wanted if owner(obj) == ""]
    assert set(cluster.order[: len(common)]) == set(common)
    for label in ("ala", "jan"):
        mine = [key(obj) for obj in wanted if owner(obj) == label]
        assert [at for at in cluster.order if at in mine] == mine
        assert outcomes[label] == len(mine)
    assert put(cluster, wanted) == outcomes


def test_who_fails_stops_no_other_and_gets_no_right() -> None:
    cluster, error = Cluster(), Forbidden("no")
    cluster.fails = {("v1", "LimitRange", "k8s-ala", "nodisk"): [error]}
    outcomes = put(cluster, objects(RECORD))
    assert outcomes["ala"] is error
    assert RIGHT not in cluster.there
    assert isinstance(outcomes["jan"], int)


def test_what_all_need_is_raised() -> None:
    cluster = Cluster()
    cluster.fails = {("v1", "Namespace", "", "k8s"): [Forbidden("no")]}
    with pytest.raises(Forbidden):
        put(cluster, objects(RECORD))
    assert cluster.order == []


def test_a_binding_to_another_role_is_made_anew() -> None:
    cluster = Cluster()
    cluster.fails = {RIGHT: [Invalid("cannot change roleRef")]}
    put(cluster, objects(RECORD))
    assert cluster.deleted == [RIGHT]
    assert RIGHT in cluster.there


@pytest.mark.parametrize("error", [NotFound("no such namespace"), Forbidden("it is being terminated")])
def test_only_who_is_to_have_a_right_needs_a_namespace(error: ApiError) -> None:
    cluster, wanted = Cluster(), objects(RECORD)
    rights = [obj for obj in wanted if obj["kind"] == "RoleBinding"]
    cluster.fails = {key(obj): [error] for obj in rights}
    outcomes = put(cluster, rights)
    assert outcomes == {"ala": error, "jan": 2}  # the teachers' binding, and the one of who is suspended
    other = Cluster()
    other.fails = {key(obj): [Forbidden("no right")] for obj in rights}
    assert all(isinstance(outcome, Forbidden) for outcome in put(other, rights).values())


def test_a_volume_of_a_claim_that_is_no_more_is_released() -> None:
    cluster = Cluster()
    (volume,) = [obj for obj in objects(RECORD) if obj["kind"] == "PersistentVolume" and owner(obj) == "ala"]
    put(cluster, [volume])
    assert cluster.patched == []
    for uid, released in (("new", 0), ("old", 1)):
        volume["spec"]["claimRef"]["uid"] = uid
        put(cluster, [volume])
        assert len(cluster.patched) == released
    assert cluster.patched[0][2] == {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}


def test_what_is_deleted_goes_in_the_order_given() -> None:
    cluster = Cluster()
    gone = [obj for obj in objects(RECORD) if owner(obj) == "jan"][::-1]
    applier.delete(cast(Client, cluster), gone)
    assert cluster.deleted == [key(obj) for obj in gone]
