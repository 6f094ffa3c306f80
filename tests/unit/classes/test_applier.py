"""The one applier: in which order objects are written, whom a failure stops, and what single kinds need besides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.support.cluster import Cluster, Key
from tests.unit.classes.test_desired import account, objects
from tests.unit.classes.test_manifests import one

from nodisk.classes import applier
from nodisk.classes.desired import key, owner, space
from nodisk.kube.client import Object
from nodisk.kube.errors import ApiError, Forbidden, Invalid, NotFound

RECORD = one(students=(account("ala", 1, False), account("jan", 1, True)), storage="1Gi")
RIGHT = ("rbac.authorization.k8s.io/v1", "RoleBinding", "k8s-ala", "nodisk-student")


class Api(Cluster):
    """A claim is empty, and is not the one that a volume was bound to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[Key, list[ApiError]] = {}
        """What the API server says to the first attempts to write an object."""

    def becomes(self, obj: Object) -> Object:
        if errors := self.fails.get(key(obj)):
            raise errors.pop(0)
        spaces = {"", *(name for _, kind, _, name in self.objects if kind == "Namespace")}
        assert obj["kind"] == "Namespace" or space(obj) in spaces
        return obj

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object:
        assert kind == "ResourceQuota"
        return {"status": {"used": {"persistentvolumeclaims": "0"}}}

    def list(self, *_: object, **__: object) -> list[Object]:
        return [{"metadata": {"uid": "new"}}]

    @property
    def order(self) -> Sequence[Key]:
        return [key(obj) for obj in self.written]


def put(cluster: Api, made: list[Object]) -> dict[str, int | Exception]:
    return applier.apply(cluster.client, made, lambda _, there: len(there))


def test_all_is_written_each_owners_in_order_and_what_is_common_first() -> None:
    cluster, wanted = Api(), objects(RECORD)
    outcomes = put(cluster, wanted)
    assert cluster.objects == {key(obj): obj for obj in wanted}
    common = [key(obj) for obj in wanted if owner(obj) == ""]
    assert set(cluster.order[: len(common)]) == set(common)
    for label in ("ala", "jan"):
        mine = [key(obj) for obj in wanted if owner(obj) == label]
        assert [at for at in cluster.order if at in mine] == mine
        assert outcomes[label] == len(mine)
    assert put(cluster, wanted) == outcomes


def test_who_fails_stops_no_other_and_gets_no_right() -> None:
    cluster, error = Api(), Forbidden("no")
    cluster.fails = {("v1", "LimitRange", "k8s-ala", "nodisk"): [error]}
    outcomes = put(cluster, objects(RECORD))
    assert outcomes["ala"] is error
    assert RIGHT not in cluster.objects
    assert isinstance(outcomes["jan"], int)


def test_what_all_need_is_raised() -> None:
    cluster = Api()
    cluster.fails = {("v1", "Namespace", "", "k8s"): [Forbidden("no")]}
    with pytest.raises(Forbidden):
        put(cluster, objects(RECORD))
    assert cluster.order == []


def test_a_binding_to_another_role_is_made_anew() -> None:
    cluster = Api()
    cluster.fails = {RIGHT: [Invalid("cannot change roleRef")]}
    put(cluster, objects(RECORD))
    assert cluster.deleted == [RIGHT]
    assert RIGHT in cluster.objects


@pytest.mark.parametrize("error", [NotFound("no such namespace"), Forbidden("it is being terminated")])
def test_only_who_is_to_have_a_right_needs_a_namespace(error: ApiError) -> None:
    cluster, wanted = Api(), objects(RECORD)
    rights = [obj for obj in wanted if obj["kind"] == "RoleBinding"]
    cluster.fails = {key(obj): [error] for obj in rights}
    outcomes = put(cluster, rights)
    assert outcomes == {"ala": error, "jan": 2}  # the teachers' binding, and the one of who is suspended
    other = Api()
    other.fails = {key(obj): [Forbidden("no right")] for obj in rights}
    assert all(isinstance(outcome, Forbidden) for outcome in put(other, rights).values())


def test_a_volume_of_a_claim_that_is_no_more_is_released() -> None:
    cluster = Api()
    (volume,) = [obj for obj in objects(RECORD) if obj["kind"] == "PersistentVolume" and owner(obj) == "ala"]
    put(cluster, [volume])
    assert cluster.patched == []
    for uid, released in (("new", 0), ("old", 1)):
        volume["spec"]["claimRef"]["uid"] = uid
        put(cluster, [volume])
        assert len(cluster.patched) == released
    assert cluster.patched[0][2] == {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}


def test_what_is_deleted_goes_in_the_order_given() -> None:
    cluster = Api()
    gone = [obj for obj in objects(RECORD) if owner(obj) == "jan"][::-1]
    applier.delete(cluster.client, gone)
    assert cluster.deleted == [key(obj) for obj in gone]
