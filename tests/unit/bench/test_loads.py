"""How a group of measures ends, and how much is asked of a cluster at once; against a made-up API."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.cluster import Cluster
from tests.support.waits import LONG

from nodisk.bench import runner, service_load
from nodisk.bench.pods_load import Timer, at_once, density_measure
from nodisk.bench.profile import FULL, QUICK
from nodisk.bench.result import Measurement, Verdict
from nodisk.bench.stage import REQUESTS, Stage, quota
from nodisk.errors import TimedOut
from nodisk.kube.client import Object
from nodisk.kube.watch import Change, WatchEvent
from nodisk.verify.clock import Clock
from nodisk.verify.scene import Scene


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def add(cluster: Cluster, kind: str, name: str, owner: str = "") -> None:
    """An object of the run, of a DaemonSet if it has an owner."""
    meta: Object = {"name": name, "namespace": "space"}
    meta |= {"ownerReferences": [{"kind": "DaemonSet", "name": owner}]} if owner else {}
    version = "apps/v1" if kind == "DaemonSet" else "v1"
    cluster.create({"apiVersion": version, "kind": kind, "metadata": meta})


@pytest.fixture
def stage(cluster: Cluster) -> Stage:
    scene = Scene(cast("Any", None), cluster.client, "run", "space", clock=Clock(sleep=lambda _: None))
    return Stage(scene, QUICK, lambda _: None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimedOut("no ready pod on w1\nmore"), "not measured: no ready pod on w1"),
        (KeyError("podIP"), "not measured: the measure itself broke: KeyError('podIP')"),
    ],
)
def test_a_group_that_breaks_says_why_and_leaves_nothing_to_the_next(
    cluster: Cluster, stage: Stage, error: Exception, words: str
) -> None:
    def act(_: Stage) -> list[Measurement]:
        add(cluster, "DaemonSet", "net-host")
        add(cluster, "Pod", "net-host-x", owner="net-host")
        add(cluster, "Pod", "alone")
        add(cluster, "Service", "net-0")
        raise error

    found = runner.measure("net", act, stage)
    assert {one.name for one in found} == {"net_tcp", "net_rtt", "pod_network_share"}
    assert {(one.value, one.note, one.lost) for one in found} == {(None, words, 1)}
    assert cluster.objects == {}


def test_what_does_not_go_is_said_and_costs_no_figure(cluster: Cluster, stage: Stage) -> None:
    said: list[str] = []
    stage.say = said.append
    stage.scene.clock = Clock(now=iter(range(10**6)).__next__, sleep=lambda _: None)
    add(cluster, "Pod", "stuck", owner="nobody")
    (found,) = runner.measure("dns", lambda _: [Measurement("dns_p99", 1.0, 1)], stage)
    assert found.value == 1.0
    assert "after dns: 1 pods are still there" in said


def _nodes(count: int, cpus: int) -> dict[str, Any]:
    return {f"pc-{n}": {"status": {"capacity": {"cpu": str(cpus), "pods": "110"}}} for n in range(count)}


def test_the_quota_lets_a_classroom_be_filled() -> None:
    found = quota(_nodes(30, 8), FULL)
    assert int(found["pods"]) >= 30 * 80
    assert int(found["limits.memory"].removesuffix("Mi")) >= 30 * 80 * 32
    assert int(found["requests.cpu"].removesuffix("m")) >= 30 * 80 * 5
    # Few cores: the burst is more than the density's target.
    assert int(quota(_nodes(2, 2), FULL)["pods"]) >= 2 * FULL.burst
    assert int(quota(_nodes(2, 2), FULL)["pods"]) < 200


def test_each_node_must_reach_its_own_target() -> None:
    measured = density_measure({"a": 70, "b": 30}, {"a": 70, "b": 20}, {"a": 80, "b": 40}, 60)
    assert (measured.value, measured.n, measured.verdict) == (90.0, 100, Verdict.FAIL)
    assert "short of the target: b 30 of 40" in measured.note
    assert [one.value for one in measured.series] == [100.0, 75.0]
    assert density_measure({"a": 0}, {"a": 0}, {"a": 20}, 0).verdict is Verdict.PASS


def test_each_api_server_is_differenced_by_itself() -> None:
    """One answered a thousand requests before the load, the other none: neither hides the other's ten."""
    text = (
        "# TYPE apiserver_request_duration_seconds histogram\n"
        'apiserver_request_duration_seconds_bucket{verb="GET",resource="pods",le="0.1"} N\n'
        'apiserver_request_duration_seconds_bucket{verb="GET",resource="pods",le="+Inf"} N\n'
        'apiserver_request_duration_seconds_sum{verb="GET",resource="pods"} 1\n'
        'apiserver_request_duration_seconds_count{verb="GET",resource="pods"} N\n'
    )
    counts = {"https://10.0.0.1:6443": 1000, "https://10.0.0.2:6443": 0}
    machines = [SimpleNamespace(name=f"cp{n}", address=f"10.0.0.{n}") for n in (1, 2)]
    lab = SimpleNamespace(by_role=lambda _: machines, machine=lambda name: machines[int(name[-1]) - 1])

    class Asked(Scene):
        def kubectl(self, *words: str, timeout: float | None = None, stdin: str | None = None) -> str:
            assert (words[0], *words[2:]) == ("--server", "get", "--raw", "/metrics")
            return text.replace("N", str(counts[words[1]]))

    asked = Asked(cast("Any", SimpleNamespace(lab=lab)), cast("Any", None), "run", "space")
    stage = Stage(asked, QUICK, lambda _: None)
    before = stage.scrape()
    counts = {server: count + 10 for server, count in counts.items()}
    between = stage.scrape().since(before).by(REQUESTS, "verb", "resource")
    assert {key: found.n for key, found in between.items()} == {("GET", "pods"): 20}


def test_no_more_pods_are_starting_at_once_than_the_slo_allows() -> None:
    assert [at_once(rate) for rate in (1, 0.25, 0.1)] == [6, 3, 2]
    timer = Timer()
    timer.sent("a")
    timer.sent("b")
    done = threading.Event()

    def wait() -> None:
        timer.wait_few(2, 60)
        done.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not done.wait(0.1)
    running = {"containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}]}
    meta = {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}
    pod = {"metadata": meta, "spec": {"containers": [{}], "nodeName": "w1"}, "status": running}
    timer.event(WatchEvent(Change.MODIFIED, pod), 1.0)
    assert done.wait(LONG)
    waiting.join()
    timer.wait_few(1, 0.0)  # what is lost is waited for no longer


@pytest.mark.parametrize(
    ("obj", "has"),
    [
        ({"endpoints": None}, False),
        ({"endpoints": [{"addresses": ["10.0.0.1"]}]}, True),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {}}]}, True),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}, False),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}, True),
        ({}, False),
        ({"subsets": [{"notReadyAddresses": [{"ip": "10.0.0.1"}]}]}, False),
        ({"subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}, True),
    ],
)
def test_when_a_service_has_endpoints(obj: dict[str, Any], has: bool) -> None:
    assert service_load.has_endpoints(obj) is has
