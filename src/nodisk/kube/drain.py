"""Emptying nodes before they are switched off, so that pods end in their own time and start elsewhere.

Pods are evicted through the API, which keeps PodDisruptionBudgets. Only those that somebody makes again go: a pod
without a controller would be lost with its eviction, and runs again on its node after the next boot without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from nodisk.kube.client import Client
from nodisk.kube.errors import ApiError, NotFound
from nodisk.waiting import Deadline

MARK = "nodisk.dev/drained"
"""The annotation on a node that ``cordon`` closed while it is switched off, and ``reopen`` opens when it is back."""
CLOSED = "nodisk.dev/closed"
"""The same for one that somebody wants closed until they say otherwise."""
AGAIN = 1.0
_MIRROR = "kubernetes.io/config.mirror"


def cordon(client: Client, node: str, *, mark: str = MARK) -> bool:
    """Let no new pod onto a node; returns whether it is there. One that somebody else closed stays theirs.

    What is closed for as long as it is off stays closed for longer if somebody now wants that; not the other way.
    """
    try:
        found = client.get("v1", "Node", node)
        marked = found["metadata"].get("annotations") or {}
        if not is_closed(found) or (mark == CLOSED and MARK in marked):
            both = {MARK: None, CLOSED: None, mark: "yes"}
            client.patch("v1", "Node", node, {"metadata": {"annotations": both}, "spec": {"unschedulable": True}})
    except NotFound:
        return False
    return True


def is_closed(node: Mapping[str, Any]) -> bool:
    """Whether a Node is closed to new pods, no matter who closed it."""
    return bool((node.get("spec") or {}).get("unschedulable"))


def reopen(client: Client, nodes: Collection[str], *, mark: str = MARK) -> list[str]:
    """Let pods onto those of the nodes again that ``cordon`` closed with that mark; their names."""
    opened = []
    for found in client.list("v1", "Node"):
        meta = found["metadata"]
        if meta["name"] in nodes and mark in (meta.get("annotations") or {}):
            change = {"metadata": {"annotations": {mark: None}}, "spec": {"unschedulable": None}}
            client.patch("v1", "Node", meta["name"], change)
            opened.append(meta["name"])
    return opened


def is_evictable(pod: Mapping[str, Any]) -> bool:
    """Whether a pod goes: it has a controller that makes it again elsewhere, and has not ended."""
    meta = pod["metadata"]
    controllers = [owner for owner in meta.get("ownerReferences") or [] if owner.get("controller")]
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    mirror = _MIRROR in (meta.get("annotations") or {})
    return not ended and not mirror and bool(controllers) and controllers[0].get("kind") not in ("DaemonSet", "Node")


def evict(
    client: Client, nodes: Collection[str], within: float, *, stop: Callable[[], None] = lambda: None
) -> list[str]:
    """Evict the nodes' pods and wait until they are gone; those that are not after ``within`` seconds.

    A refused eviction (a budget, a busy server) is asked for again. ``stop`` may raise, to end the waiting.
    """
    deadline = Deadline(within)
    version = "policy/v1" if client.version().line >= (1, 22) else "policy/v1beta1"
    asked: set[str] = set()
    while True:
        left = _on(client, nodes)
        for pod in left:
            meta = pod["metadata"]
            if meta["uid"] not in asked and _evict(client, version, meta["namespace"], meta["name"]):
                asked.add(meta["uid"])
        if not left or deadline.passed:
            return [_called(pod) for pod in left]
        stop()
        deadline.pause(AGAIN)


def evictable(client: Client, nodes: Collection[str]) -> dict[str, list[str]]:
    """Node → those of its pods that ``evict`` would evict."""
    found: dict[str, list[str]] = {}
    for pod in _on(client, nodes):
        found.setdefault(pod["spec"]["nodeName"], []).append(_called(pod))
    return found


def _on(client: Client, nodes: Collection[str]) -> list[dict[str, Any]]:
    pods = client.list("v1", "Pod")
    return [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") in nodes and is_evictable(pod)]


def _called(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _evict(client: Client, version: str, namespace: str, name: str) -> bool:
    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    try:
        client.post_subresource("v1", "Pod", name, "eviction", body, namespace=namespace)
    except NotFound:
        return True
    except ApiError as error:
        if error.status in (429, 500, 503):  # 500: more than one budget covers the pod
            return False
        raise
    return True
