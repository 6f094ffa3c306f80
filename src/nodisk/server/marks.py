"""Reconcile the labels and taints of Node objects with lab.yaml.

A kubelet sets taints when it first registers, and nothing on an existing node, so the server does this. It sets labels
with server-side apply: nodisk owns those of lab.yaml, so removing one from the file removes it from the node, and
others' labels stay. A node's taints are a single field in the API, which can have only one owner, so an annotation
records which of them are lab.yaml's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nodisk.kube.client import FIELD_MANAGER, Client
from nodisk.plan import kubelet
from nodisk.spec.model import Machine
from nodisk.values import Role

TAINTS = "nodisk.dev/taints"
"""The annotation: the taints that lab.yaml gave the node, as ``KEY:EFFECT``, with commas between."""
ROLE_LABELS = {
    Role.CONTROL_PLANE: "node-role.kubernetes.io/control-plane",
    Role.WORKER: "node-role.kubernetes.io/worker",
}

Node = dict[str, Any]


def labels(machine: Machine) -> dict[str, str]:
    """The labels that the machine's node should have."""
    return {ROLE_LABELS[machine.role]: "", **machine.labels}


def owned_labels(node: Node) -> set[str]:
    """The labels that nodisk has applied, according to the API."""
    found: set[str] = set()
    for entry in node["metadata"].get("managedFields") or []:
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            fields = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:labels", {})
            found |= {name.removeprefix("f:") for name in fields if name.startswith("f:")}
    return found


def labels_differ(machine: Machine, node: Node) -> bool:
    """Whether the labels have to be applied (again)."""
    wanted, have = labels(machine), node["metadata"].get("labels") or {}
    return any(have.get(key) != value for key, value in wanted.items()) or owned_labels(node) != set(wanted)


def taints_change(machine: Machine, node: Node) -> Node | None:
    """The merge patch that sets the node's taints to lab.yaml's; None if they match. Valid only for this version."""
    meta, have = node["metadata"], node.get("spec", {}).get("taints") or []
    before = _read((meta.get("annotations") or {}).get(TAINTS, ""))
    wanted = {(one["key"], one["effect"]): one for one in kubelet.as_objects(machine.taints)}
    after: list[Node] = []
    for taint in have:
        name = (taint["key"], taint["effect"])
        if name in wanted:
            mine = wanted[name]
            after.append(taint if taint.get("value", "") == mine.get("value", "") else mine)
        elif name not in before:
            after.append(taint)
    there = {(taint["key"], taint["effect"]) for taint in after}
    after += [taint for name, taint in wanted.items() if name not in there]
    if after == have and before == set(wanted):
        return None
    return {
        "metadata": {"resourceVersion": meta["resourceVersion"], "annotations": {TAINTS: _written(wanted)}},
        "spec": {"taints": after},
    }


def reconcile(client: Client, machine: Machine, node: Node) -> bool:
    """Reconcile the node with lab.yaml; return whether anything was written. Raises ApiError.

    A Conflict means that the node has changed meanwhile; that change triggers the next attempt.
    """
    name, uid = str(machine.name), node["metadata"]["uid"]
    changed = False
    if labels_differ(machine, node):
        wanted: Node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels(machine)}}
        made = client.apply(wanted)
        if made["metadata"]["uid"] != uid:  # applying makes what isn't there: the node was deleted a moment ago
            client.delete("v1", "Node", name, uid=made["metadata"]["uid"])
            return False
        node, changed = made, True
    if change := taints_change(machine, node):
        client.patch("v1", "Node", name, change)
        changed = True
    return changed


def _read(text: str) -> set[tuple[str, str]]:
    pairs = (one.rpartition(":") for one in text.split(",") if one)
    return {(key, effect) for key, _, effect in pairs}


def _written(names: Iterable[tuple[str, str]]) -> str | None:
    """The annotation's text; None (which removes it) for no taints."""
    return ",".join(f"{key}:{effect}" for key, effect in sorted(names)) or None
