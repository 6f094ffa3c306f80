"""verify and bench beside an API server that resets, refuses and hesitates: they find what they find without that.

As far as they go in a cluster without nodes: what asks a machine fails or is left out, in any weather.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.api.apiserver import ControlPlane
from tests.api.faults import Fault, FaultProxy, at_random

from nodisk.bench import runner
from nodisk.bench.profile import QUICK
from nodisk.bench.result import Run
from nodisk.bench.stage import Stage
from nodisk.kube.client import Client
from nodisk.verify import staging, temporary_class
from nodisk.verify.checks import CHECKS
from nodisk.verify.core import Result
from nodisk.verify.runner import choose, run_all
from nodisk.verify.scene import measure_pace

NODELESS = {
    **dict.fromkeys(("nodes", "certificates", "registry", "pods", "job", "rollout"), "failed"),
    **dict.fromkeys(("pull", "pod-network", "service", "node-port", "dns", "access", "isolation"), "skipped"),
    **dict.fromkeys(("rights", "leftovers"), "ok"),
}
"""What each check of ``verify --quick`` finds here. ``clock`` watches machines that there aren't for half a minute."""


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane).standing(plane) as standing:
        yield standing


@pytest.fixture(autouse=True)
def pace_of_a_pc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a pod that never runs waits for its limit, times the pace."""

    def measured(client: Client) -> float:
        return min(1.0, measure_pace(client))

    monkeypatch.setattr(staging, "measure_pace", measured)


def nothing_is_left(client: Client) -> None:
    client.until(
        "the run's objects to go",
        lambda: None if staging.leftovers(client) or temporary_class.leftovers(client) else True,
    )


def test_verify_finds_the_same(plane: ControlPlane, proxy: FaultProxy) -> None:
    limits = {"rollout": 15.0}
    checks = [replace(one, limit=limits.get(one.name, 600.0)) for one in choose(CHECKS, quick=True, only=())]
    said: list[Result | str] = []
    proxy.plan = at_random(1)
    report = run_all(plane.context, [one for one in checks if one.name != "clock"], tell=said.append)
    spoilt = sum(proxy.met.values()) - proxy.met[Fault.NONE]
    proxy.plan = lambda _, __: Fault.NONE
    assert spoilt > 30
    assert {one["name"]: one["outcome"] for one in report["checks"]} == NODELESS, report
    evidence = {one["name"]: "\n".join(one["evidence"]) for one in report["checks"]}
    assert "a temporary student tried 21 things: all as expected" in evidence["rights"]
    assert "0 of 1 pods available" in evidence["rollout"]
    assert "no machine of lab.yaml is a node of the cluster" in evidence["pods"]
    with plane.client(patience=60) as client:
        nothing_is_left(client)


@pytest.mark.apart  # with the one above and test_faults.py it would take the common run more than a minute
def test_bench_measures_a_class_whole(plane: ControlPlane, proxy: FaultProxy) -> None:
    """Its loads alone: a cluster without nodes fails verify, and nothing was built for the header to name."""
    said: list[str] = []
    proxy.plan = at_random(2)
    with staging.staged(plane.context, "bench", privileged=True, say=said.append) as scene:
        run = Run({}, runner.measure_all(Stage(scene, replace(QUICK, students=8), said.append), ("class",)))
    spoilt = sum(proxy.met.values()) - proxy.met[Fault.NONE]
    proxy.plan = lambda _, __: Fault.NONE
    assert spoilt > 30
    found = {one.name: one for one in run.measurements}
    assert found["class_create"].value is not None, said
    assert found["class_create"].lost == 0
    assert "8 students" in found["class_create"].note
    assert not run.failed, said
    with plane.client(patience=60) as client:
        nothing_is_left(client)
