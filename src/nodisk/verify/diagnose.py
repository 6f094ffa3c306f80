"""Derive a likely cause and a command to investigate from what the API says about a pod that doesn't run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodisk.kube.objects import condition, conditions, holds

Object = Mapping[str, Any]


def pod_trouble(pod: Object) -> str:
    """Why a pod isn't ready, in a few words."""
    status = pod.get("status") or {}
    if status.get("reason"):  # Evicted, NodeAffinity …
        return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    for one in status.get("containerStatuses") or []:
        if waiting := one["state"].get("waiting"):
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()
        if ended := one["state"].get("terminated"):
            return f"ended with status {ended.get('exitCode')} ({ended.get('reason')})"
    placed = condition(pod, "PodScheduled")
    if placed and not holds(pod, "PodScheduled"):
        return str(placed.get("message") or "not scheduled yet")
    return f"{status.get('phase', 'Unknown')}, not ready"


_RAM_DISK = (
    "a RAM disk of {node} is full (images, containers' files and emptyDir volumes are RAM on a diskless machine)"
)
_NO_IMAGE = "{node} can't get images from the server's registry at {registry}: it is down, refuses, or lacks the image"
_JOURNAL = "nodisk ssh {node} journalctl -u containerd -u kubelet -n 50"

# Words that kubelet, containerd and the scheduler use → (likely cause, command). The first that matches counts.
_CAUSES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("disk-pressure", "diskpressure", "no space left", "ephemeral"),
        _RAM_DISK,
        "nodisk ssh {node} df -h /var/lib/containerd /var/lib/kubelet; nodisk ssh {node} df -i",
    ),
    (
        ("imagepull", "errimage", "failed to pull"),
        _NO_IMAGE,
        "nodisk events; nodisk ssh {node} curl --cacert /etc/nodisk/ca.crt https://{registry}/v2/_catalog",
    ),
    (
        ("memory-pressure", "memorypressure", "insufficient memory", "evicted", "oom"),
        "{node} has too little RAM left",
        "nodisk ssh {node} free -m; nodisk kubectl describe node {node}",
    ),
    (("unreachable", "not-ready"), "the node {node} is not Ready", "nodisk status"),
    (("unschedulable",), "a node is cordoned", "nodisk kubectl get nodes"),
    (("insufficient",), "the nodes' CPU or RAM is promised to other pods", "nodisk kubectl describe nodes"),
    (("sandbox", "cni", "network"), "the pod network on {node} can't be set up", _JOURNAL),
    (("",), "see the pod's events and kubelet's log on {node}", _JOURNAL),
)


def cause(trouble: str, *, registry: str, node: str | None) -> tuple[str, str]:
    """(likely cause, command) for the words of ``pod_trouble``, an event or a node's condition."""
    low, names = trouble.lower(), {"node": node or "NODE", "registry": registry}
    why, look = next((why, look) for words, why, look in _CAUSES if any(word in low for word in words))
    return why.format(**names), look.format(**names)


def pressures(node: Object) -> list[str]:
    """A node's active pressure conditions, with kubelet's message."""
    return [
        f"{one['type']}: {one.get('message', '')}"
        for one in conditions(node)
        if one["type"] != "Ready" and one["status"] == "True"
    ]
