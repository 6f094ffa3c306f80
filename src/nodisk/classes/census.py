"""The cluster at a glance: its nodes, what pods ask of them, what classes were promised, the system's own pods."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nodisk.classes.manifests import CLASS, MANAGED_BY
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube import leaders, objects, quantity, spare
from nodisk.kube.client import connect

WITHIN = 4.0
"""Seconds for the API, where somebody waits for a page."""
SYSTEM = "kube-system"
MIB = 1 << 20
Amounts = Mapping[str, Fraction]
"""Resource (cpu in cores, memory in bytes, pods) → how much."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    name: str
    ready: str
    """True, False or Unknown."""
    open: bool
    """Whether it takes ordinary pods."""
    version: str
    there: Amounts
    asked: Amounts
    """By the pods that are on it and have not ended."""


@dataclass(frozen=True, slots=True)
class SystemPod:
    """One of the system's own pods."""

    name: str
    node: str
    state: str
    """``Ready``, or its phase."""
    restarts: int


@dataclass(frozen=True, slots=True)
class Census:
    """The cluster."""

    nodes: tuple[Node, ...]
    there: Amounts
    """Of all nodes that take ordinary pods and are Ready."""
    asked: Amounts
    """By all pods on these."""
    promised: Amounts
    """To all classes, by their quotas."""
    system: tuple[SystemPod, ...]
    leads: str
    """Who leads, in words."""


def census(
    nodes: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]],
    quotas: Iterable[Mapping[str, Any]],
    leads: str,
) -> Census:
    """Add up: objects of core/v1, ``quotas`` those of classes. Pure; raises ValueError for a bad quantity."""
    pods = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    on: dict[str, list[Mapping[str, Any]]] = {}
    for pod in pods:
        on.setdefault((pod.get("spec") or {}).get("nodeName") or "", []).append(pod)
    found = tuple(sorted((_node(node, on) for node in nodes), key=lambda node: node.name))
    usable = [node for node in found if node.open and node.ready == "True"]
    return Census(
        found,
        _sum(node.there for node in usable),
        _sum(node.asked for node in usable),
        _sum(map(_hard, quotas)),
        tuple(sorted((_pod(pod) for pod in pods if pod["metadata"].get("namespace") == SYSTEM), key=lambda p: p.name)),
        leads,
    )


def ask(context: LabContext) -> Census:
    """The same of a lab's cluster now, within seconds. Raises NodiskError."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        try:
            return census(
                client.list("v1", "Node"),
                client.list("v1", "Pod"),
                client.list("v1", "ResourceQuota", labels=f"{MANAGED_BY}=nodisk,{CLASS}"),
                leaders.words(leaders.ask(client, time.time())),
            )
        except ValueError as error:
            raise NodiskError(f"the API's answer can't be read: {error}") from error


def words(amounts: Amounts) -> str:
    """``1.5 cores, 900 MiB, 12 pods``."""
    return f"{float(amounts['cpu']):.1f} cores, {float(amounts['memory'] / MIB):.0f} MiB, {int(amounts['pods'])} pods"


def _node(node: Mapping[str, Any], on: Mapping[str, Sequence[Mapping[str, Any]]]) -> Node:
    name = node["metadata"]["name"]
    given = (node.get("status") or {}).get("allocatable") or {}
    closed = objects.closing_taints(node) or (node.get("spec") or {}).get("unschedulable")
    return Node(
        name,
        objects.readiness(node),
        not closed,
        str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", "")),
        {resource: quantity.parse(given.get(resource, "0")) for resource in spare.RESOURCES},
        _sum(map(spare.requests, on.get(name, ()))),
    )


def _pod(pod: Mapping[str, Any]) -> SystemPod:
    status = pod.get("status") or {}
    restarts = sum(int(one.get("restartCount", 0)) for one in status.get("containerStatuses") or [])
    state = "Ready" if objects.is_ready(pod) else str(status.get("phase", "Unknown"))
    return SystemPod(pod["metadata"]["name"], (pod.get("spec") or {}).get("nodeName") or "", state, restarts)


def _hard(quota: Mapping[str, Any]) -> Amounts:
    hard = (quota.get("spec") or {}).get("hard") or {}
    names = {"cpu": "requests.cpu", "memory": "requests.memory", "pods": "pods"}
    return {resource: quantity.parse(hard.get(name, "0")) for resource, name in names.items()}


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    total = dict.fromkeys(spare.RESOURCES, Fraction(0))
    for one in amounts:
        for resource in spare.RESOURCES:
            total[resource] += one[resource]
    return total
