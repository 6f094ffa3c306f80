"""Checks against a made-up API: what they make, and what they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from tests.support.cluster import Cluster

from nodisk.errors import NodiskError
from nodisk.kube.client import Object
from nodisk.kube.errors import NotFound
from nodisk.verify.checks import access, network, pods, workloads
from nodisk.verify.clock import Clock
from nodisk.verify.core import Check, Outcome, run_check
from nodisk.verify.scene import Scene

TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class Api(Cluster):
    """Two workers. A cordon's taint comes at once and stays for some looks after the cordon."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = {"w1": 0, "w2": 0}
        self.cordoned: set[str] = set()
        self.gone = 0
        self.lasts = 3

    def list(self, api_version: str, kind: str, **_: object) -> list[Object]:
        if kind == "Node":
            return [{"metadata": {"name": name}, "spec": {"taints": self._taints(name)}} for name in self.looks]
        if kind == "Pod":
            return [self._pod("w2" if "w1" in self.cordoned or self.gone else "w1")]
        return []

    def _taints(self, name: str) -> Sequence[dict[str, str]]:
        self.looks[name] -= name not in self.cordoned
        return [TAINT] if self.looks[name] > 0 else []

    def _pod(self, node: str) -> dict[str, Any]:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return {"metadata": {"name": f"pod-{node}"}, "spec": {"nodeName": node}, "status": ready}

    def get(self, api_version: str, kind: str, name: str, **_: object) -> Object:
        if kind == "Service":
            raise NotFound(f"{name}: not found", status=404)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "observedGeneration"), 1)
        return {"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": counts}

    def patch(self, api_version: str, kind: str, name: str, change: Object, **_: object) -> None:
        if change["spec"]["unschedulable"]:
            self.cordoned.add(name)
            self.looks[name] = self.lasts
        else:
            self.cordoned.discard(name)
            self.gone = 1

    def supports(self, *_: str) -> bool:
        return True

    def post_subresource(self, *_: Any, **__: Any) -> None:
        """An eviction."""


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def scene(api: Api) -> Scene:
    found = Scene(cast("Any", None), api.client, "run", "space")
    time = [0.0]
    found.clock = Clock(now=lambda: time[0], sleep=lambda seconds: time.__setitem__(0, time[0] + seconds))
    return found


def test_drain_ends_when_the_node_takes_pods_again(api: Api, scene: Scene) -> None:
    result = run_check(Check("drain", "", 60, workloads.drain), scene)
    assert result.outcome is Outcome.OK, result
    # The next check must not meet the taint that the controller manager takes away later than the cordon.
    assert scene.workers() == ["w1", "w2"]
    assert [one["spec"]["replicas"] for one in api.written] == [1]


def test_a_taint_that_stays_is_said(api: Api, scene: Scene) -> None:
    api.lasts = 10**6
    result = run_check(Check("drain", "", 60, workloads.drain), scene)
    assert (result.outcome, result.evidence) == (Outcome.FAILED, ("w1 still takes no ordinary pods",))
    assert "controller manager" in result.cause


def test_the_service_of_the_echo_pods_is_made_once_before_those_who_use_it(api: Api, scene: Scene) -> None:
    for check in (network.service, network.node_port):
        result = run_check(Check("network", "", 5, check), scene)
        assert (result.outcome, result.evidence) == (
            Outcome.SKIPPED,
            ("there is no Service of the echo pods: see the check pods",),
        )
    assert api.written == []
    run_check(Check("pods", "", 5, pods.everywhere), scene)
    assert [one["kind"] for one in api.written] == ["Service", "DaemonSet"]


class Told:
    """A scene whose kubectl fails with these words, one after the other, and then works."""

    run_id = "1"

    def __init__(self, *words: str) -> None:
        self.words = list(words)

    def kubectl(self, *_: str) -> str:
        if self.words:
            raise NodiskError(self.words.pop(0))
        return "hello-1"

    def exec(self, *_: str) -> str:
        return "w1"

    def nodes(self) -> list[str]:
        return ["w1"]


INTERNAL = "Error from server (InternalError): Internal error occurred: Authorization error"
NO_ROUTE = "Error from server: dial tcp 10.0.0.2:10250: no route to host"


def test_access_asks_again_after_an_internal_error_and_only_once() -> None:
    assert access.talk(cast(Scene, Told(INTERNAL)), "echo") == ""
    assert access.talk(cast(Scene, Told(INTERNAL, INTERNAL)), "echo") == INTERNAL
    assert access.talk(cast(Scene, Told(NO_ROUTE)), "echo") == NO_ROUTE
