"""verify and bench against a real API server: what needs no machine. Faults are real ones, made by an administrator."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.waits import until

from nodisk.bench import api_load, runner
from nodisk.bench.health import Health
from nodisk.bench.profile import QUICK
from nodisk.bench.result import Verdict
from nodisk.bench.stage import REQUESTS, Stage
from nodisk.classes import reconcile
from nodisk.classes.manifests import CLASS, student_role
from nodisk.kube.client import Client
from nodisk.storage import volumes
from nodisk.verify import manifests, temporary_class
from nodisk.verify.checks.rights import rights
from nodisk.verify.core import Check, Failed, Outcome, run_check
from nodisk.verify.scene import Scene, cordon
from nodisk.verify.staging import leftovers, remove_leftovers, staged
from nodisk.verify.temporary_class import PREFIX, planned

RBAC = "rbac.authorization.k8s.io/v1"


def _node(client: Client, name: str) -> None:
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})


def _spaces(client: Client) -> set[str]:
    return {one["metadata"]["name"] for one in client.list("v1", "Namespace", metadata_only=True)}


def _binding(name: str, role: str, account: str, home: str, space: str | None) -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": space} if space else {})
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding" if space else "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    }


@pytest.mark.usefixtures("no_class_is_left")
def test_a_run_leaves_nothing_and_the_next_removes_what_a_killed_one_left(plane: ControlPlane, client: Client) -> None:
    _node(client, "left-cordoned")
    cordon(client, "left-cordoned", "killed")
    client.create(manifests.namespace("nodisk-verify-killed", "verify", "killed"))
    lab_class = planned("killed", 1, room="16Mi")
    served = volumes.ensure(plane.lab_state, lab_class.name, {"s1": "killed"}, 16 * 2**20)
    reconcile.apply(client, lab_class, plane.lab, volumes=served)
    assert len(temporary_class.leftovers(client)) == 3
    try:
        said: list[str] = []
        with staged(plane.context, "verify", say=said.append) as scene:
            assert scene.space in _spaces(client)
            assert scene.pace >= 1
        text = "\n".join(said)
        assert "nodisk-verify-killed" in text
        assert f"removing the temporary class {PREFIX}killed that" in text
        assert "uncordoned left-cordoned" in text
        node = client.get("v1", "Node", "left-cordoned")
        assert manifests.CORDONED not in (node["metadata"].get("annotations") or {})
        assert not node["spec"].get("unschedulable")
        remove_leftovers(client, plane.lab_state, limit=60, wait=True)
        assert leftovers(client) == []
        assert temporary_class.leftovers(client) == []
        assert client.list("v1", "PersistentVolume", labels=CLASS) == []
        roles = {one["metadata"]["name"] for one in client.list(RBAC, "ClusterRole", metadata_only=True)}
        assert student_role(lab_class) not in roles
        assert not {one for one in _spaces(client) if one.startswith(("nodisk-verify", PREFIX))}
    finally:
        client.delete("v1", "Node", "left-cordoned")


@pytest.fixture
def scene(plane: ControlPlane, client: Client) -> Scene:
    return Scene(plane.context, client, "test", "default", pace=2.0)


def _check_rights(scene: Scene) -> Any:
    return run_check(Check("rights", "", 60, rights), scene)


def test_rights_are_right_on_a_cluster_that_nobody_touched(scene: Scene) -> None:
    result = _check_rights(scene)
    assert result.outcome is Outcome.OK, result
    assert any("a temporary student tried" in line for line in result.evidence)
    remaining = {one for one in _spaces(scene.client) if one.startswith(PREFIX)}
    assert remaining == set()


@pytest.mark.parametrize(
    ("role", "space", "words"),
    [
        ("cluster-admin", None, "rights in the whole cluster (ClusterRole cluster-admin)"),
        ("cluster-admin", "own", "all rights in"),
        ("edit", "kube-system", "which is not of that class"),
    ],
)
def test_a_binding_that_gives_a_student_more_is_found(scene: Scene, role: str, space: str | None, words: str) -> None:
    with temporary_class.temporary_class(Scene(scene.context, scene.client, "victim", "default"), 1) as applied:
        record, account = applied.record, applied.record.students[0]
        where = record.namespace(account) if space == "own" else space
        made = _binding("given-by-hand", role, account.service_account, record.identities, where)
        scene.client.create(made)
        try:
            result = _check_rights(scene)
        finally:
            scene.client.delete(RBAC, made["kind"], "given-by-hand", namespace=where)
    assert result.outcome is Outcome.FAILED
    assert words in result.evidence[0]
    assert "by hand" in result.cause
    assert "given-by-hand" in result.look
    if space is None:  # the API server's own judgement agrees
        assert any("may list nodes" in line for line in result.evidence)


def test_a_check_that_fails_says_so_while_the_api_is_down(plane: ControlPlane, scene: Scene) -> None:
    with plane.client(patience=1) as impatient:
        plane.forwarder.cut()
        try:
            down = Scene(plane.context, impatient, "test", "default")
            result = run_check(Check("rights", "", 5, rights), down)
        finally:
            plane.forwarder.mend()
    assert result.outcome is Outcome.FAILED
    assert "no answer from the API" in result.evidence[0]


def test_the_api_is_measured_by_its_own_histogram(plane: ControlPlane, client: Client) -> None:
    said: list[str] = []
    with staged(plane.context, "bench", say=said.append) as scene:
        few = type(QUICK)(**{name: getattr(QUICK, name) for name in QUICK.__slots__} | {"api_calls": 40})
        stage = Stage(scene, few, said.append)
        stage.set_up()
        before = stage.scrape()
        alone = manifests.pod("alone", scene.space, stage.pod_spec(manifests.container(["true"])))
        client.create(alone)
        client.create(manifests.deployment("many", scene.space, alone["spec"] | {"activeDeadlineSeconds": None}, 3))
        measured = {one.name: one for one in runner.measure("api", api_load.api, stage)}
        assert client.list("v1", "Pod", namespace=scene.space) == []
        assert client.list("apps/v1", "ReplicaSet", namespace=scene.space) == []
        after = stage.scrape()
    writes = measured["api_mutating_p99"]
    posts = [one for one in writes.series if one.labels == {"verb": "POST", "resource": "configmaps"}]
    # Independent count: the difference of the raw counters, and what was really sent.
    raw = after.since(before).histogram(
        REQUESTS, lambda labels: labels["verb"] == "POST" and labels["resource"] == "configmaps"
    )
    assert raw is not None
    assert 40 <= posts[0].n <= raw.n
    for name in ("api_mutating_p99", "api_get_p99", "api_list_p99"):
        assert measured[name].value is not None
        assert measured[name].lost == 0
    assert client.list("scheduling.k8s.io/v1", "PriorityClass", labels=manifests.LABEL) == []


def test_a_class_of_thirty_is_measured_and_removed(plane: ControlPlane, client: Client) -> None:
    with staged(plane.context, "bench") as scene:
        (measured,) = runner.class_create(Stage(scene, QUICK, lambda _: None))
    assert measured.value is not None
    assert measured.lost == 0
    assert "30 students" in measured.note
    assert not {one for one in _spaces(client) if one.startswith(PREFIX)}


def test_health_counts_what_happens_while_it_watches(client: Client) -> None:
    _node(client, "flapping")
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    path = client.path("v1", "Node", "flapping", subresource="status")
    merge = "application/merge-patch+json"
    client.request("PATCH", path, body={"status": status}, content_type=merge)
    try:
        with Health(client, "nodisk-bench-x") as health:
            for word in ("True", "False", "True"):
                change = {"status": {"conditions": [{"type": "Ready", "status": word}]}}
                client.request("PATCH", path, body=change, content_type=merge)
            until(lambda: health.measurement().value, every=0.1, why="nothing was noticed")
        measured = health.measurement()
    finally:
        client.delete("v1", "Node", "flapping")
    assert measured.verdict is Verdict.FAIL
    assert measured.fails_the_run
    assert "flapping" in measured.note


def test_a_failure_is_an_exception_with_words() -> None:
    failed = Failed("a", "b", cause="c", look="d")
    assert (failed.message, failed.evidence, failed.cause, failed.look) == ("a; b", ("a", "b"), "c", "d")
