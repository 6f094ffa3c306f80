"""What is said of classes beside the suite, and whose pods its specs could take away."""

from __future__ import annotations

from typing import Any

import pytest

from nodisk.conformance import neighbours, sparing
from nodisk.conformance.neighbours import weigh

SPACES = [
    {"metadata": {"name": "3b-jan", "labels": {"nodisk.dev/class": "3b"}}},
    {"metadata": {"name": "3b-ada", "labels": {"nodisk.dev/class": "3b"}}},
    {"metadata": {"name": "2a-eve", "labels": {"nodisk.dev/class": "2a"}}},
]


def node(name: str, cpu: str = "4", pods: str = "110", ready: str = "True", taint: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else []},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": pods},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def pod(space: str, at: str = "w1", phase: str = "Running", cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    requests = {"requests": {"cpu": cpu, "memory": "64Mi"}}
    return {
        "metadata": {"name": "one", "namespace": space},
        "spec": {"nodeName": at, "containers": [{"resources": requests}], **spec},
        "status": {"phase": phase},
    }


def test_nobody_there_and_enough_is_nothing_to_say() -> None:
    found = weigh(SPACES, [pod("kube-system")], [node("w1"), node("cp1", taint="node-role.kubernetes.io/master")])
    assert (found.pods, found.nodes) == ({}, 1)
    assert found.lines(1) == []


def test_classes_are_named_and_the_ended_pods_of_theirs_are_not() -> None:
    pods = [pod("3b-jan"), pod("3b-ada"), pod("2a-eve", phase="Succeeded"), pod("tools")]
    found = weigh(SPACES, pods, [node("w1"), node("w2", ready="Unknown")])
    assert found.pods == {"3b": 2}
    told = "\n".join(found.lines(2))
    assert "classes with pods now: 3b (2)" in told
    assert "free on 1 nodes: 3.7 cores" in told
    assert "up to 1.0 cores, 256 MiB, 80 pods at once" in told
    assert "new pods may wait: one takes 70%" in told
    assert "warning" not in told


def test_too_little_is_a_warning_without_classes_too() -> None:
    told = weigh([], [pod("tools", cpu="3800m")], [node("w1", pods="30")]).lines(1)
    assert told[-1].startswith("warning: too little is free: cores, places for pods;")


def test_full_nodes_are_those_that_take_pods_and_have_no_place() -> None:
    nodes = [node("w1", pods="6"), node("w2", pods="6"), node("cp1", pods="1", taint="a")]
    assert neighbours.full([pod("3b-jan"), pod("3b-ada", phase="Failed")], nodes) == []
    assert neighbours.full([pod("3b-jan"), pod("3b-ada")], nodes) == ["w1"]


@pytest.mark.parametrize(
    ("tolerations", "safe"),
    [
        ([], False),
        ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}], False),
        ([{"operator": "Exists"}], True),
        ([{"operator": "Exists", "effect": "NoSchedule"}], False),
        ([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}], False),
        ([sparing.TOLERATION], True),
    ],
)
def test_which_pods_the_suites_taint_would_end(tolerations: list[dict[str, Any]], safe: bool) -> None:
    assert sparing.lacks(pod("3b-jan", tolerations=tolerations)) is not safe
    assert not sparing.lacks(pod("3b-jan", phase="Succeeded", tolerations=tolerations))
