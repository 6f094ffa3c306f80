"""Quantities, and what a cluster lacks while one node is away."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.kube import quantity, spare


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("250m", Fraction(1, 4)), ("1.5", Fraction(3, 2)), (".5", Fraction(1, 2)), ("2.", 2),
        ("1536Mi", 1536 * 1024**2), ("1k", 1000), ("1Ki", 1024), ("12e6", 12_000_000), ("1E", 10**18), ("-1", -1),
        ("100n", Fraction(1, 10**7)), (4, 4),
    ],
)  # fmt: skip
def test_quantities(text: str | int, value: Fraction | int) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1mi", "1e", "0x1", "1GiB", "١", "1e9999", "9" * 50])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.parse(text)


@given(st.integers(0, 10**12), st.sampled_from(["n", "u", "m", "", "k", "M", "Gi", "Ei"]))
def test_suffixes_only_scale(number: int, suffix: str) -> None:
    assert quantity.parse(f"{number}{suffix}") == number * quantity.parse(f"1{suffix}")


def node(name: str, *, cpu: str = "2", memory: str = "1Gi", closed: bool = False) -> dict[str, Any]:
    taints = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}] if closed else []
    return {
        "metadata": {"name": name},
        "spec": {"taints": taints},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}},
    }


def pod(on: str, memory: str, *, kind: str = "ReplicaSet", phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "ownerReferences": [{"kind": kind, "controller": True}]},
        "spec": {"nodeName": on, "containers": [{"resources": {"requests": {"memory": memory}}}]},
        "status": {"phase": phase},
    }


def short(nodes: list[dict[str, Any]], pods: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one.node, one.resource) for one in spare.without_one(nodes, pods)]


def test_what_is_short_without_one() -> None:
    nodes = [node("cp1", closed=True), node("w1"), node("w2"), node("w3", memory="2Gi")]
    assert short(nodes, []) == []
    assert short(nodes, [pod("w1", "900Mi"), pod("w3", "1Gi")]) == []
    assert short(nodes, [pod("w1", "1Gi"), pod("w2", "1Gi"), pod("w3", "512Mi")]) == [("w3", "memory")]
    # DaemonSets' pods stay, and take from what the others have; what ended takes nothing.
    heavy = [pod("w1", "512Mi", kind="DaemonSet"), pod("w3", "1536Mi", phase="Succeeded"), pod("w3", "1792Mi")]
    assert short(nodes, heavy) == [("w3", "memory")]


def test_a_single_worker_has_no_other() -> None:
    assert short([node("w1")], [pod("w1", "1Mi")]) == [("w1", "memory"), ("w1", "pods")]


def test_init_containers_and_overhead() -> None:
    wants = pod("w1", "100Mi")
    wants["spec"]["initContainers"] = [{"resources": {"requests": {"memory": "300Mi"}}}]
    wants["spec"]["overhead"] = {"memory": "20Mi", "cpu": "10m"}
    assert spare.requests(wants) == {"pods": 1, "memory": 320 * 1024**2, "cpu": Fraction(1, 100)}
