"""A class is refused with the reason when the nodes are there, and take no pods."""

from __future__ import annotations

from typing import Any

import pytest

from nodisk.classes import capacity
from nodisk.classes.capacity import Amounts, Capacity
from nodisk.errors import UsageError

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
DOWN = {"conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]}


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ({"status": READY}, None),
        ({"status": DOWN}, "is not Ready: Kubelet stopped posting"),
        ({}, "is not Ready: its kubelet has not reported yet"),
        ({"status": READY, "spec": {"unschedulable": True}}, "is cordoned"),
        ({"status": READY, "spec": {"taints": [{"key": "role", "effect": "NoSchedule"}]}}, "the taint role"),
        ({"status": READY, "spec": {"taints": [{"key": "role", "effect": "PreferNoSchedule"}]}}, None),
    ],
)
def test_why_a_node_takes_no_pods(node: dict[str, Any], why: str | None) -> None:
    found = capacity.why_idle(node)
    assert found is None if why is None else found is not None and why in found


def test_nodes_that_are_there_are_named() -> None:
    there = Capacity(0, Amounts(), Amounts(), Amounts(pods=4), 2, "small", ("w1 is not Ready: still starting",))
    with pytest.raises(UsageError, match="no node accepts students' pods:\n  w1 is not Ready: still starting"):
        there.refuse()
    with pytest.raises(UsageError, match="no machine has joined"):
        Capacity(0, Amounts(), Amounts(), Amounts(pods=4), 2, "small").refuse()
    with pytest.raises(UsageError, match=r"more than 1 nodes have(.|\n)*not counted: w2 is cordoned"):
        Capacity(1, Amounts(), Amounts(), Amounts(pods=4), 2, "small", ("w2 is cordoned",)).refuse()
