"""Nodes that are emptied and opened again, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nodisk.kube import drain
from nodisk.kube.client import Client

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
