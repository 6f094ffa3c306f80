"""The Node object of a machine that gets another name or leaves the lab."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError
from nodisk.kube.objects import holds

WITHIN = 5.0
"""Seconds for which the API's answer is waited for."""


class Presence(StrEnum):
    """What the API says of a node."""

    ABSENT = "absent"
    READY = "ready"
    THERE = "there"  # and not Ready: switched off, or lost
    UNKNOWN = "unknown"  # the API doesn't answer


@dataclass(frozen=True, slots=True)
class Found:
    """A node, or that there is none."""

    presence: Presence
    uid: str | None = None


def look(context: LabContext, name: str) -> Found:
    """Ask the API for a node; a lab without a cluster, or that has never had one, has none."""
    if not context.lab.has_cluster or not context.state.admin_kubeconfig.exists():
        return Found(Presence.ABSENT)
    try:
        with connect(context, patience=0.0, within=WITHIN) as client:
            nodes = {node["metadata"]["name"]: node for node in client.list("v1", "Node")}
    except (ApiError, EnvironmentProblem):
        return Found(Presence.UNKNOWN)
    if name not in nodes:
        return Found(Presence.ABSENT)
    node = nodes[name]
    return Found(Presence.READY if holds(node, "Ready") else Presence.THERE, node["metadata"]["uid"])


def need_off(name: str, found: Found, what: str) -> None:
    """Raise NodiskError if the node is Ready: its pods would be lost, or two machines claim its name."""
    if found.presence is Presence.READY:
        raise NodiskError(
            f"{name} is running: its node is Ready",
            hint=f"switch it off (the node stays Ready for 40 s more), or {what} it anyway with --force",
        )


def delete(context: LabContext, name: str, found: Found) -> str:
    """Delete the node that was found; returns what became of it, for people."""
    manual = f"nodisk kubectl delete node {name}"
    if found.presence is Presence.ABSENT:
        return f"the cluster has no node {name}"
    if found.presence is Presence.UNKNOWN:
        return f"the API does not answer: if the cluster has a node {name}, it stays until you run: {manual}"
    try:
        with connect(context, patience=0.0, within=WITHIN) as client:
            gone = client.delete("v1", "Node", name, uid=found.uid)
    except (ApiError, EnvironmentProblem) as error:
        return f"the node {name} was not deleted ({error.message}); do it later: {manual}"
    if not gone:
        return f"the node {name} is another one by now, and stays: the machine has joined again"
    return f"deleted the node {name}; what ran there starts elsewhere"
