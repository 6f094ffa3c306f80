"""Common questions about Kubernetes objects. Pure. An object is the API's JSON; any of its fields may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodisk.kube.transport import Object

_CLOSED = ("NoSchedule", "NoExecute")


def conditions(obj: Mapping[str, Any]) -> list[Object]:
    """The conditions of its status."""
    found: list[Object] = (obj.get("status") or {}).get("conditions") or []
    return found


def condition(obj: Mapping[str, Any], name: str) -> Object:
    """One condition; empty if it has none of that name."""
    return next((one for one in conditions(obj) if one.get("type") == name), {})


def holds(obj: Mapping[str, Any], name: str) -> bool:
    """Whether a condition is True."""
    return condition(obj, name).get("status") == "True"


def readiness(node: Mapping[str, Any]) -> str:
    """The Ready condition's status: True, False or Unknown (also if it is absent)."""
    return str(condition(node, "Ready").get("status", "Unknown"))


def going(obj: Mapping[str, Any]) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready and not being deleted."""
    return holds(pod, "Ready") and not going(pod)


def closing_taints(node: Mapping[str, Any]) -> list[Object]:
    """The taints that keep ordinary pods off a node."""
    return [taint for taint in (node.get("spec") or {}).get("taints") or [] if taint["effect"] in _CLOSED]


def boot_id(node: Mapping[str, Any]) -> str | None:
    """The boot from which a node's kubelet last reported (``/proc/sys/kernel/random/boot_id``)."""
    value = ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID")
    return str(value) if value else None
