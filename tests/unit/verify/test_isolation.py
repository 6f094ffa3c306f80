"""What the check ``isolation`` makes of an attempt: who enforces is only named, what the pods saw counts."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cluster import Cluster

from nodisk.assets import built
from nodisk.assets.store import Manifest
from nodisk.classes import capacity, reach
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import REACH, Finding, untried
from nodisk.kube.client import Object
from nodisk.plan.policies import APPLIED
from nodisk.records import isolation
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Kubernetes, PodNetwork
from nodisk.state import State
from nodisk.verify.checks.isolation import judged
from nodisk.verify.core import Failed, Warn

POLICIES = Enforcer("kube-network-policies", "kube-system", "example/kube-network-policies:v1.1.0", 3, 3)
PARTLY = Enforcer("kube-network-policies", "kube-system", "example/kube-network-policies:v1.1.0", 2, 3)
APART = Finding("s01", REACH, "refused", "refused: three attempts of a pod timed out", "ok")
LAB = parse(
    """
name: demo
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
kubernetes: {policies: controller}
machines: [{name: cp1, mac: 52:54:00:00:00:11, address: 10.77.0.11, role: control-plane}]
""",
    file=Path("lab.yaml"),
)
BY_DEFAULT = LAB.model_copy(update={"kubernetes": Kubernetes()})


def reached(verdict: str) -> Finding:
    return Finding("s01", REACH, "refused", "allowed", cast("Any", verdict))


def test_kept_apart_by_what_runs_everywhere() -> None:
    first, second = judged(APART, POLICIES)
    assert "timed out" in first
    assert second == "enforced by kube-network-policies (example/kube-network-policies:v1.1.0)"


def test_an_enforcer_that_does_not_enforce_is_red() -> None:
    with pytest.raises(Failed) as caught:
        judged(reached("hole"), POLICIES)
    assert "kube-network-policies is there and does not keep students' pods apart" in caught.value.cause
    assert caught.value.look == "nodisk kubectl -n kube-system logs daemonset/kube-network-policies --tail=20"


def test_one_that_is_missing_on_a_node_is_red_although_two_pods_were_kept_apart() -> None:
    with pytest.raises(Failed, match="runs on 2 of 3 nodes"):
        judged(reach.settled(APART, PARTLY), PARTLY)


def test_what_is_saved_is_what_is_judged() -> None:
    assert reach.settled(APART, POLICIES) == APART
    partly = reach.settled(APART, PARTLY)
    assert (partly.verdict, isolation.WORDS[partly.verdict]) == ("hole", "NOT KEPT APART")
    assert "runs on 2 of 3 nodes" in partly.happened


def test_kept_apart_by_nobody_known_is_a_warning() -> None:
    found = reach.settled(APART, None)
    assert found.verdict == "unsure"
    with pytest.raises(Warn, match="knows nothing here that enforces"):
        judged(found, None)


def test_without_an_enforcer_it_is_a_warning() -> None:
    with pytest.raises(Warn) as caught:
        judged(reached("gap"), None)
    assert "can reach each other" in caught.value.cause


@pytest.mark.parametrize("by", [None, POLICIES])
def test_what_nobody_tried_is_never_ok(by: Enforcer | None) -> None:
    with pytest.raises(Failed, match="not tested: the pod does not run") as caught:
        judged(reach.settled(untried("s01", "the pod does not run"), by), by)
    assert not caught.value.cause, "the enforcer is not blamed for what nobody tried"


def made(*, on: tuple[str, ...], there: bool = True, nodes: int = 3) -> Cluster:
    """A cluster with nodes that take pods, and a DaemonSet that has a ready pod on some, or none."""
    names = [f"w{number}" for number in range(1, nodes + 1)]
    machines = [{**NODE, "metadata": {"name": name}} for name in names]
    return Cluster(*machines, *([DAEMON_SET] if there else []), *map(pod, on))


READY = [{"type": "Ready", "status": "True"}]
NODE: Object = {"apiVersion": "v1", "kind": "Node", "spec": {}, "status": {"conditions": READY}}
DAEMON_SET: Object = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"namespace": "kube-system", "name": "kube-network-policies", "uid": "u1"},
    "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "example/wanted:v2"}]}}},
    # It says that it is complete: its own selector leaves nodes out.
    "status": {"numberReady": 2, "desiredNumberScheduled": 2},
}


def pod(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "kube-system", "name": f"a-{node}", "ownerReferences": [{"uid": "u1"}]},
        "spec": {"nodeName": node},
        "status": {"conditions": READY, "containerStatuses": [{"name": "a", "image": POLICIES.image}]},
    }


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        (made(on=(), there=False), None),
        (made(on=("w1", "w2", "w3")), POLICIES),
        (made(on=("w1", "w2", "cp1")), PARTLY),
        (made(on=()), replace(POLICIES, image="example/wanted:v2", ready=0)),
    ],
)
def test_what_is_there_to_enforce(cluster: Cluster, found: Enforcer | None) -> None:
    assert capacity.enforcer(cluster.client, LAB) == found


def test_machines_that_have_their_rules_in_this_boot_enforce() -> None:
    """Where lab.yaml says nothing, the server compiles rules; a mark of an earlier boot counts for nothing."""
    cluster = made(on=(), there=False)
    nodes = cluster.list("v1", "Node")
    for node, noted in zip(nodes, ("b1", "b0", None), strict=True):
        node["status"] = {**node["status"], "nodeInfo": {"bootID": "b1"}}
        node["metadata"]["annotations"] = {APPLIED: noted} if noted else None
    by = capacity.enforcer(cluster.client, BY_DEFAULT)
    assert by is not None
    assert (by.ready, by.nodes, by.namespace) == (1, 3, "")
    del nodes[2]["status"]["nodeInfo"]  # its kubelet has not reported, and nothing equals nothing
    again = capacity.enforcer(cluster.client, BY_DEFAULT)
    assert again == by
    with pytest.raises(Failed) as caught:
        judged(replace(reached("hole"), verdict="hole"), replace(by, ready=3), ["w2"], 3)
    assert "apart on w2: a machine's rules may be gone" in caught.value.cause
    assert caught.value.look == "nodisk ssh w2 journalctl -u nodisk-policies"


def test_no_node_is_not_every_node() -> None:
    assert "no node takes students' pods" in replace(POLICIES, ready=0, nodes=0).missing
    assert "runs on 0 of 3 nodes" in replace(POLICIES, ready=0).missing
    assert not POLICIES.missing


def kept(folder: Path, lab: Lab = LAB) -> isolation.Tried | None:
    """The record as ``status`` reads it."""
    state = State(folder)
    return isolation.last(state.lab("demo"), of=built.cluster(state, lab))


def keep(folder: Path, tried: isolation.Tried) -> None:
    state = State(folder)
    isolation.save(state.lab("demo"), tried, of=built.cluster(state, LAB))


def test_an_attempt_in_another_network_or_release_shows_nothing(tmp_path: Path) -> None:
    keep(tmp_path, isolation.Tried("ok", "refused"))
    assert kept(tmp_path)
    cilium = LAB.kubernetes.model_copy(update={"network": PodNetwork.CILIUM})
    assert kept(tmp_path, LAB.model_copy(update={"kubernetes": cilium})) is None
    facts = {"source": "upstream"}
    made = {kind: Manifest(kind, kind, "1.35.2", "0", {}, (), facts, "") for kind in built.KINDS}
    built.record(State(tmp_path), LAB, made, why="")
    assert kept(tmp_path) is None, "it was another release's"
    State(tmp_path).lab("demo").built.write_text("{}")
    assert kept(tmp_path), "a damaged record of the build breaks no status"


def test_the_last_attempt_is_kept_until_another_shows_something(tmp_path: Path) -> None:
    file = State(tmp_path).lab("demo").isolation
    assert kept(tmp_path) is None
    tried = isolation.Tried("hole", "allowed", 1_800_000_000.0)
    keep(tmp_path, tried)
    keep(tmp_path, isolation.Tried("untried", "no node"))
    assert kept(tmp_path) == tried
    for damage in (
        "",
        "[]",
        "{}",
        '{"verdict": "fine", "happened": "", "time": 1}',
        '{"verdict": [], "time": {}}',
        "[" * 100_000,
    ):
        file.write_text(damage)
        assert kept(tmp_path) is None


@given(st.floats() | st.integers() | st.sampled_from([float("nan"), 1e999, 1e15, 0, 915_148_800, 10**400]))
def test_a_time_that_no_date_is_made_of_is_no_record(when: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = State(Path(folder)).lab("demo").isolation
        keep(Path(folder), isolation.Tried("ok", "refused"))
        data = json.loads(file.read_text())
        file.write_text(json.dumps({**data, "time": when}))
        found = kept(Path(folder))
        if found is None:
            assert not 946_684_800 <= when <= 253_402_300_799
        else:
            assert datetime.fromtimestamp(found.time, UTC).year >= 2000
