"""Which pods are moved before their node is switched off."""

from __future__ import annotations

from typing import Any

from nodisk.kube.drain import is_evictable


def pod(kind: str | None, *, phase: str = "Running", **annotations: str) -> dict[str, Any]:
    owners = [] if kind is None else [{"kind": kind, "controller": True}]
    return {"metadata": {"ownerReferences": owners, "annotations": annotations}, "status": {"phase": phase}}


def test_only_those_that_somebody_makes_again() -> None:
    assert is_evictable(pod("ReplicaSet"))
    assert is_evictable(pod("StatefulSet", phase="Pending"))
    assert not is_evictable(pod(None)), "its eviction would lose it"
    assert not is_evictable(pod("DaemonSet")), "it would be made again on the same node"
    assert not is_evictable(pod("Node", **{"kubernetes.io/config.mirror": "x"}))
    assert not is_evictable(pod("Job", phase="Succeeded"))
    assert not is_evictable({"metadata": {}})
