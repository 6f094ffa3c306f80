"""What is on one machine, as the cluster's API says it: its node's conditions, and pods with whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nodisk.classes import own
from nodisk.classes.record import Class
from nodisk.context import LabContext
from nodisk.kube import objects
from nodisk.kube.client import connect
from nodisk.kube.errors import NotFound


@dataclass(frozen=True, slots=True)
class Condition:
    """One of a node."""

    name: str
    status: str
    """True, False or Unknown."""
    bad: bool
    words: str


@dataclass(frozen=True, slots=True)
class OnNode:
    """A machine's node; no pods of it are left out but those that have ended."""

    conditions: tuple[Condition, ...]
    pods: tuple[tuple[str, str, own.Running], ...]
    """Whose it is (a student, as ``Name (class)``; '' for nobody's), its namespace, and the pod."""


def on_node(node: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], classes: Iterable[Class]) -> OnNode:
    """The same of objects of core/v1. Pure."""
    owners = {
        found.namespace(student): f"{student.name} ({found.name})" for found in classes for student in found.students
    }
    rows = [
        (owners.get(space := str(pod["metadata"].get("namespace", "")), ""), space, own.running(pod))
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return OnNode(
        tuple(map(_condition, objects.conditions(node))),
        tuple(sorted(rows, key=lambda row: (not row[0], row[0], row[1], row[2].name))),
    )


def _condition(found: Mapping[str, Any]) -> Condition:
    name, status = str(found.get("type", "")), str(found.get("status", "Unknown"))
    # Ready is well if True, all others (MemoryPressure, DiskPressure …) if False.
    bad = status != ("True" if name == "Ready" else "False")
    return Condition(name, status, bad, str(found.get("message") or found.get("reason") or ""))


def ask(context: LabContext, name: str, classes: Iterable[Class]) -> OnNode | None:
    """The same of a machine now, within seconds; None: the cluster has no such node. Raises NodiskError."""
    with connect(context, patience=0.0, within=own.WITHIN) as client:
        try:
            node = client.get("v1", "Node", name)
        except NotFound:
            return None
        return on_node(node, client.list("v1", "Pod", fields=f"spec.nodeName={name}"), classes)
