"""What a cluster lacks while one of its nodes is away. Pure: nodes and pods are the API's JSON.

It adds up requests, as the scheduler does, and overlooks what else it may ask for (affinity, ports, volumes): where
there is too little, pods are sure to wait; where there is enough, most don't.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nodisk.kube import drain, objects, quantity

RESOURCES = ("cpu", "memory", "pods")


@dataclass(frozen=True, slots=True)
class Short:
    """A resource of which the other nodes have too little while one is away."""

    node: str
    resource: str
    asked: Fraction
    """By all pods that can move."""
    free: Fraction
    """On all other nodes, without what stays there (DaemonSets' pods, static ones)."""


def without_one(nodes: Sequence[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> list[Short]:
    """For each node that takes ordinary pods: what would be short without it. Raises ValueError for a bad quantity."""
    takes = {one["metadata"]["name"]: one for one in nodes if not objects.closing_taints(one)}
    free = {name: _allocatable(one) for name, one in takes.items()}
    moving = dict.fromkeys(RESOURCES, Fraction(0))
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if node not in takes or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        wants = requests(pod)
        for resource in RESOURCES:
            if drain.is_evictable(pod):
                moving[resource] += wants[resource]
            else:
                free[node][resource] -= wants[resource]
    found = []
    for name in takes:
        for resource in RESOURCES:
            left = sum((room[resource] for other, room in free.items() if other != name), Fraction(0))
            if moving[resource] > left:
                found.append(Short(name, resource, moving[resource], left))
    return found


def requests(pod: Mapping[str, Any]) -> dict[str, Fraction]:
    """What the scheduler counts for a pod: its containers together, or its largest init container, and overhead."""
    spec = pod.get("spec") or {}
    wants = {"pods": Fraction(1)}
    for resource in ("cpu", "memory"):
        together = sum((_request(one, resource) for one in spec.get("containers") or []), Fraction(0))
        first = max((_request(one, resource) for one in spec.get("initContainers") or []), default=Fraction(0))
        wants[resource] = max(together, first) + quantity.parse((spec.get("overhead") or {}).get(resource, "0"))
    return wants


def _request(container: Mapping[str, Any], resource: str) -> Fraction:
    return quantity.parse(((container.get("resources") or {}).get("requests") or {}).get(resource, "0"))


def _allocatable(node: Mapping[str, Any]) -> dict[str, Fraction]:
    found = (node.get("status") or {}).get("allocatable") or {}
    return {resource: quantity.parse(found.get(resource, "0")) for resource in RESOURCES}
