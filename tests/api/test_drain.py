"""Nodes that are emptied and opened again, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from tests.api.apiserver import ControlPlane

from nodisk.cli import nodisk
from nodisk.kube import drain
from nodisk.kube.client import Client
from nodisk.machines import asked, emptying
from nodisk.machines.buttons.button import Outcome

NODES = ("drain-1", "drain-2", "drain-3")


@pytest.fixture
def owner(client: Client) -> Iterator[dict[str, Any]]:
    """Something that pods can belong to, and three nodes that nobody runs."""
    for name in NODES:
        client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    meta = {"name": "drain-owner", "namespace": "default"}
    yield client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    client.delete("v1", "ConfigMap", "drain-owner", namespace="default")
    for name in pods(client):
        client.delete("v1", "Pod", name, namespace="default")
    for name in NODES:
        client.delete("v1", "Node", name)


def pod(name: str, node: str, owner: dict[str, Any] | None) -> dict[str, Any]:
    owners = []
    if owner is not None:
        meta = owner["metadata"]
        named = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}
        owners = [{**named, "controller": True}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": owners},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,  # there is no kubelet that could end it
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "nothing.invalid/none"}],
        },
    }


def pods(client: Client) -> set[str]:
    """Those on this module's nodes: other tests have pods of their own."""
    found = client.list("v1", "Pod", namespace="default")
    return {one["metadata"]["name"] for one in found if one["spec"].get("nodeName") in NODES}


def told(plane: ControlPlane, *words: str, status: int = 0) -> dict[str, dict[str, str]]:
    """What ``nodisk machines drain`` says of each machine."""
    where = ("--lab", str(plane.context.file), "--state", str(plane.context.state.state.root))
    done = CliRunner().invoke(nodisk, ["machines", "drain", *words, "--output", "json", *where])
    assert done.exit_code == status, done.output
    return {one["name"]: one for one in json.loads(done.stdout)["machines"]}


def test_by_command(plane: ControlPlane, client: Client) -> None:
    name = str(plane.lab.machines[0].name)
    other = str(plane.lab.machines[-1].name)
    made = client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        assert "no node" in told(plane, name, other, "--within", "1", status=1)[other]["detail"]
        node = client.get("v1", "Node", name)
        assert drain.is_closed(node)
        assert drain.CLOSED in node["metadata"]["annotations"]
        assert asked.view(node).closed
        # Switching it off and on again opens nothing.
        assert drain.cordon(client, name)
        assert drain.reopen(client, [name]) == []
        assert told(plane, name, "--back")[name]["outcome"] == "confirmed"
        assert not drain.is_closed(client.get("v1", "Node", name))
        # What is closed while it is off is closed for longer, if somebody now wants that.
        drain.cordon(client, name)
        assert told(plane, name)[name]["outcome"] == "confirmed"
        assert drain.reopen(client, [name]) == []
        assert told(plane, name, "--back")[name]["detail"] == "open to new pods"
        client.patch("v1", "Node", name, {"spec": {"unschedulable": True}})
        assert "kubectl uncordon" in told(plane, name, "--back", status=1)[name]["detail"]
    finally:
        client.delete("v1", "Node", made["metadata"]["name"])


def test_a_budget_is_kept(client: Client, owner: dict[str, Any]) -> None:
    """The pod stays, and is named; so does the node's being closed."""
    version = "policy/v1" if client.version().line >= (1, 22) else "policy/v1beta1"
    client.create(pod("kept", "drain-1", owner) | {"metadata": _labelled(owner)})
    budget = {
        "apiVersion": version,
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"kept": "yes"}}},
    }
    client.create(budget)
    # A budget says nothing of a pod that doesn't run yet.
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    path = "/api/v1/namespaces/default/pods/kept/status"
    client.json("PATCH", path, body={"status": ready}, content_type="application/merge-patch+json")
    try:
        assert drain.evictable(client, NODES) == {"drain-1": ["default/kept"]}
        (came,) = emptying.empty(client, ["drain-1"], 2)
        assert came.outcome is Outcome.ASKED
        assert "default/kept" in came.detail
        assert pods(client) == {"kept"}
        assert drain.is_closed(client.get("v1", "Node", "drain-1"))
    finally:
        client.delete(version, "PodDisruptionBudget", "all", namespace="default")


def _labelled(owner: dict[str, Any]) -> dict[str, Any]:
    return {**pod("kept", "drain-1", owner)["metadata"], "labels": {"kept": "yes"}}


def test_pods_go_and_nodes_open_again(client: Client, owner: dict[str, Any]) -> None:
    for name, node, of in (("owned", "drain-1", owner), ("single", "drain-1", None), ("elsewhere", "drain-3", owner)):
        client.create(pod(name, node, of))
    client.patch("v1", "Node", "drain-2", {"spec": {"unschedulable": True}})  # somebody else's doing

    assert [drain.cordon(client, name) for name in ("drain-1", "drain-2", "drain-9")] == [True, True, False]
    assert client.get("v1", "Node", "drain-1")["spec"]["unschedulable"] is True
    assert drain.evict(client, ("drain-1", "drain-2"), within=60) == []
    assert pods(client) == {"single", "elsewhere"}

    assert drain.reopen(client, NODES) == ["drain-1"]
    assert "unschedulable" not in client.get("v1", "Node", "drain-1")["spec"]
    assert client.get("v1", "Node", "drain-2")["spec"]["unschedulable"] is True
    assert drain.reopen(client, NODES) == []
