"""The cluster at a glance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes.census import census, words


def node(name: str, *, ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "110"},
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }


def pod(name: str, on: str, *, cpu: str = "500m", space: str = "k8s-jan", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": space},
        "spec": {"nodeName": on, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
        "status": {"phase": "Running", **status},
    }


def test_what_is_added_up() -> None:
    taints = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    ready = [{"type": "Ready", "status": "True"}]
    found = census(
        [
            node("w2"),
            node("w1"),
            node("cp1", taints=taints),
            node("gone", ready="Unknown"),
            node("shut", unschedulable=True),
        ],
        [
            pod("a", "w1"),
            pod("b", "w2", phase="Succeeded"),
            pod("coredns", "w1", space="kube-system", conditions=ready, containerStatuses=[{"restartCount": 3}]),
            pod("proxy", "cp1", space="kube-system", phase="Pending"),
            pod("nowhere", ""),
        ],
        [{"spec": {"hard": {"requests.cpu": "1", "requests.memory": "256Mi", "pods": "10"}}}] * 3,
        "cp1 leads",
    )
    assert [(one.name, one.ready, one.open) for one in found.nodes] == [
        ("cp1", "True", False),
        ("gone", "Unknown", True),
        ("shut", "True", False),
        ("w1", "True", True),
        ("w2", "True", True),
    ]
    assert words(found.there) == "4.0 cores, 2048 MiB, 220 pods"
    assert words(found.asked) == "1.0 cores, 128 MiB, 2 pods"
    assert words(found.promised) == "3.0 cores, 768 MiB, 30 pods"
    assert [(one.name, one.node, one.state, one.restarts) for one in found.system] == [
        ("coredns", "w1", "Ready", 3),
        ("proxy", "cp1", "Pending", 0),
    ]


@given(st.lists(st.tuples(st.sampled_from(["w1", "w2", "x", ""]), st.integers(0, 4000)), max_size=12))
def test_no_pod_is_counted_twice(pods: list[tuple[str, int]]) -> None:
    found = census(
        [node("w1"), node("w2")], [pod(str(at), on, cpu=f"{cpu}m") for at, (on, cpu) in enumerate(pods)], [], ""
    )
    assert found.asked["cpu"] * 1000 == sum(cpu for on, cpu in pods if on in ("w1", "w2"))
    assert found.asked["pods"] == sum(on in ("w1", "w2") for on, _ in pods)


def test_what_the_api_can_not_have_said() -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        census([], [pod("a", "w1", cpu="much")], [{"spec": {"hard": {"pods": "many"}}}], "")
