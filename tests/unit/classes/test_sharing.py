"""Classes of one lab beside each other: what they share, where their handouts are, and what one of them may not do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster
from tests.unit.classes.test_manifests import one

from nodisk.classes import accounts, actions, expiry, handouts, homes, record
from nodisk.classes.credentials import Credential
from nodisk.classes.reconcile import Applied
from nodisk.context import LabContext
from nodisk.errors import Busy, UsageError
from nodisk.kube import kubeconfig
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Forbidden, NotFound, Unreachable
from nodisk.spec.model import Lab
from nodisk.state import LabState, State
from nodisk.storage import volumes
from nodisk.values import KubeVersion

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "m1", "mac": "52:54:00:77:01:01", "address": "10.77.0.21", "role": "control-plane"}],
    }
)


class Api(Cluster):
    """A cluster without classes, of an old release, which gives tokens."""

    def __init__(self, fails: dict[str, Exception] | None = None) -> None:
        super().__init__()
        self.minted: list[str] = []
        self.fails = fails or {}
        """By namespace."""

    def becomes(self, obj: Object) -> Object:
        if error := self.fails.get(obj["metadata"].get("namespace", "")):
            raise error
        return obj

    def get(self, *_: object, **__: object) -> Object:
        return {"metadata": {}, "rules": [{"resources": ["pods"]}]}

    def version(self) -> KubeVersion:
        return KubeVersion(1, 20, 2)

    def supports(self, *_: object) -> bool:
        return False

    def first_supported(self, *_: object) -> None:
        return None

    def until(self, _: str, look: Callable[[], Object | None]) -> Object | None:
        return look()

    def token(self, _: str, account: str, **__: object) -> tuple[str, str]:
        self.minted.append(account)
        return f"{account} {len(self.minted)}", "2027-03-01T12:00:00Z"

    def with_token(self, _: str) -> Client:
        return self.client

    def path(self, *_: object, **__: object) -> str:
        return ""

    def request(self, *_: object, **__: object) -> Object:
        return {}


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path / "state").lab("room")


@pytest.fixture
def context(state: LabState, tmp_path: Path) -> LabContext:
    state.admin_kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    admin = kubeconfig.Endpoint("https://10.77.0.1:6443", "CA", token="t")
    state.admin_kubeconfig.write_text(kubeconfig.render(admin, cluster="room", user="admin"))
    return LabContext(LAB, tmp_path / "lab.yaml", state, None)


def two_students(**more: Any) -> record.Class:
    first = one().students[0]
    anna = first.model_copy(update={"key": "name:anna", "name": "Anna", "label": "anna"})
    jan = first.model_copy(update={"key": "name:jan", "name": "Jan", "label": "jan"})
    return one(students=(anna, jan), **more)


def test_who_is_named_twice_is_one() -> None:
    found = two_students(teachers=())
    assert record.each_once([found.student("jan"), found.student("Jan"), found.student("anna")]) == [
        found.student("jan"),
        found.student("anna"),
    ]


def test_sharing_waits_for_others_but_not_for_ever(state: LabState, monkeypatch: pytest.MonkeyPatch) -> None:
    order, held = list[str](), threading.Event()

    def other() -> None:
        with record.sharing(state):
            held.set()
            order.append("other")

    with record.changing(state, "k8s"), record.sharing(state):
        with monkeypatch.context() as patch:  # over before the other one looks how long it may wait
            patch.setattr(record, "SHARING_LIMIT", 0.0)
            with pytest.raises(Busy, match="what all classes share"), record.sharing(state):
                pass
        thread = threading.Thread(target=other)
        thread.start()
        assert not held.wait(0.2)
        order.append("one")
    thread.join(120)
    assert order == ["one", "other"]


def test_a_class_made_while_another_is_deleted_keeps_its_role(state: LabState) -> None:
    class Meanwhile(Api):
        def list(self, api_version: str, kind: str, **selection: Any) -> list[Object]:
            if kind == "PersistentVolume":  # the last that is waited for
                record.save(state, one(name="later", storage="1Gi"))
            return super().list(api_version, kind, **selection)

    record.save(state, one(storage="1Gi"))
    cluster = Meanwhile()
    accounts.delete(cluster.client, one(storage="1Gi"), record.staying(state, "k8s"))
    assert cluster.deleted == []
    record.forget(state, "later")
    alone = Api()
    accounts.delete(alone.client, one(storage="1Gi"), record.staying(state, "k8s"))
    assert [at[1:] for at in alone.deleted] == [
        ("StorageClass", "", "nodisk"),
        ("ClusterRole", "", "nodisk-student-edit"),
    ]


def test_what_is_shared_is_held_while_it_is_deleted(state: LabState) -> None:
    entered = list[bool]()

    @contextmanager
    def staying() -> Iterator[list[record.Class]]:
        entered.append(True)
        yield []
        assert cluster.deleted
        entered.append(False)

    cluster = Api()
    accounts.delete(cluster.client, one(), staying())
    assert entered == [True, False]


def test_no_class_writes_into_the_folder_of_another(context: LabContext, tmp_path: Path) -> None:
    folder = tmp_path / "handouts"
    record.save(context.state, one(name="other", out=str(folder)))
    found = one(name="k8s", out=str(tmp_path / "own"))
    for act in (
        lambda: actions.create(context, Api().client, found, folder=tmp_path / "x" / ".." / "handouts"),
        lambda: actions.remint(context, Api().client, found, folder=folder),
        lambda: actions.rotate(context, Api().client, found, found.students, folder=folder),
        lambda: actions.refuse(context, found, folder),
    ):
        with pytest.raises(UsageError, match="contains the handouts of class other"):
            act()
    assert record.load(context.state, "k8s") is None
    actions.refuse(context, one(name="other"), folder)


def test_the_record_follows_the_handouts_and_no_dead_key_is_written(context: LabContext, tmp_path: Path) -> None:
    found = two_students(teachers=(), out=str(tmp_path / "old"))
    anna, jan = found.students
    anna = anna.model_copy(update={"token_sha256": handouts.digest("anna's")})
    new = jan.model_copy(update={"credential": 2, "token_sha256": handouts.digest("jan's new")})
    applied = Applied(found.with_accounts([anna, new]), {jan.key: Credential(new, "jan's new")})
    held = {anna.key: "anna's", jan.key: "jan's old"}
    made = actions.finish(context, Api().client, applied, held, folder=tmp_path / "new")
    assert made.record.out == str(tmp_path / "new")
    assert record.need(context.state, "k8s") == made.record
    assert handouts.held(made.record) == {anna.key: "anna's", jan.key: "jan's new"}
    assert handouts.good(made.record, held) == {anna.key: "anna's"}


def test_a_key_is_replaced_once_and_in_the_new_folder(context: LabContext, tmp_path: Path) -> None:
    cluster, old = Api(), tmp_path / "old"
    found = two_students(teachers=())
    anna, jan = found.students
    first = actions.rotate(context, cluster.client, found, found.students, folder=old).record
    assert sorted(cluster.minted) == ["anna-2", "jan-2"]
    cluster.minted = ["anna-2", "jan-2"]
    made = actions.rotate(context, cluster.client, first, [first.students[0]] * 2, folder=tmp_path / "new")
    assert (made.made, cluster.minted) == (1, ["anna-2", "jan-2", "anna-3"])
    assert record.need(context.state, "k8s").out == str(tmp_path / "new")
    assert handouts.held(made.record) == {anna.key: "anna-3 3", jan.key: handouts.held(first)[jan.key]}


def test_smaller_storage_is_refused_before_it_is_recorded(context: LabContext, tmp_path: Path) -> None:
    found = two_students(storage="64Mi")
    record.save(context.state, found)
    homes.provide(context.state, found, found.students)
    smaller = found.model_copy(update={"storage": "32Mi"})
    with pytest.raises(UsageError, match="k8s-anna-1 already has 64 MiB, and a volume can't shrink"):
        actions.create(context, Api().client, smaller, folder=tmp_path / "out")
    assert record.need(context.state, "k8s").storage == "64Mi"
    homes.refuse_smaller(context.state, smaller, [])
    # A record that says less, of an older nodisk: nothing is deleted first.
    cluster = Api()
    with pytest.raises(UsageError, match="a volume can't shrink"):
        actions.reset(context, cluster.client, smaller, smaller.students[:1])
    assert cluster.deleted == []
    assert {volume.size for volume in volumes.load_all(context.state)} == {64 * volumes.MIB}


def test_whom_nothing_was_made_for_is_told_why(context: LabContext, tmp_path: Path) -> None:
    """Not that nobody has a credential to try the isolation with."""
    busy = Unreachable("the API is away")
    found = two_students(teachers=())
    cluster = Api({f"k8s-{student.label}": busy for student in found.students})
    made = actions.create(context, cluster.client, found, folder=tmp_path / "out")
    assert made.failed == {"anna": busy, "jan": busy}
    assert made.findings == []


GOING = Forbidden("unable to create new content in namespace k8s-anna because it is being terminated")


@pytest.mark.parametrize("error", [NotFound("no such namespace"), GOING])
def test_who_has_no_namespace_can_be_suspended(error: Exception) -> None:
    cluster = Api({"k8s-anna": error})
    found = two_students()
    done = accounts.set_suspended(cluster.client, found, LAB, [*found.students, *found.teachers], True)
    assert done.failed == {}
    assert all(account.suspended for account in (*done.record.students, *done.record.teachers))
    back = accounts.set_suspended(cluster.client, done.record, LAB, done.record.students, False)
    assert back.failed == {"anna": error}
    assert [student.suspended for student in back.record.students] == [True, False]


@pytest.mark.parametrize("error", [Unreachable("gone"), Forbidden("no right")])
def test_who_could_not_be_suspended_is_recorded_so(error: Exception) -> None:
    cluster = Api({"k8s-anna": error})
    found = two_students()
    done = accounts.set_suspended(cluster.client, found, LAB, [*found.students, *found.teachers], True, by_hand=True)
    assert done.failed == {"anna": error, "teacher-anna": error}
    assert [student.suspended for student in done.record.students] == [False, True]
    assert [teacher.suspended for teacher in done.record.teachers] == [False]


def test_the_end_of_a_class_is_recorded_for_whom_it_reached(
    context: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Api({"k8s-anna": Unreachable("gone")})
    monkeypatch.setattr(expiry, "connect", lambda *_, **__: nullcontext(cluster))
    found = two_students()
    record.save(context.state, found)
    assert [event.kind for event in expiry.tick(context, found.expires)] == ["failed"]
    assert [student.suspended for student in record.need(context.state, "k8s").students] == [False, True]
    cluster.fails = {"k8s-anna": NotFound("no such namespace")}
    assert [event.kind for event in expiry.tick(context, found.expires)] == ["suspended"]
    assert all(student.suspended for student in record.need(context.state, "k8s").students)
