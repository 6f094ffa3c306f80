"""What becomes of a machine's node when the machine gets another name or leaves the lab."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.api.apiserver import ControlPlane

from nodisk.errors import NodiskError
from nodisk.kube.client import Client
from nodisk.machines import nodes
from nodisk.machines.nodes import Presence
from nodisk.server import nodes as server_nodes


@pytest.fixture
def node(client: Client) -> Iterator[str]:
    """A node of one test, without a machine."""
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "leaving"}})
    yield "leaving"
    client.delete("v1", "Node", "leaving")


def test_a_node_that_is_off_is_deleted(plane: ControlPlane, client: Client, node: str) -> None:
    found = nodes.look(plane.context, node)
    assert found.presence is Presence.THERE
    assert not asyncio.run(server_nodes.ready(plane.lab_state, node, lambda _: plane.client(patience=0)))
    nodes.need_off(node, found, "forget")
    assert nodes.delete(plane.context, node, found) == f"deleted the node {node}; what ran there starts elsewhere"
    assert nodes.look(plane.context, node).presence is Presence.ABSENT
    assert not asyncio.run(server_nodes.ready(plane.lab_state, node, lambda _: plane.client(patience=0)))
    assert nodes.delete(plane.context, node, nodes.look(plane.context, node)) == f"the cluster has no node {node}"


def test_a_node_that_is_ready_is_left_alone(plane: ControlPlane, client: Client, node: str) -> None:
    path = client.path("v1", "Node", node, subresource="status")
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    client.request("PATCH", path, body=ready, content_type="application/merge-patch+json")
    found = nodes.look(plane.context, node)
    assert found.presence is Presence.READY
    assert asyncio.run(server_nodes.ready(plane.lab_state, node, lambda _: plane.client(patience=0)))
    with pytest.raises(NodiskError, match="leaving is running") as refused:
        nodes.need_off(node, found, "rename")
    assert "rename it anyway with --force" in str(refused.value.hint)


def test_another_node_of_the_same_name_stays(plane: ControlPlane, client: Client, node: str) -> None:
    """Between the look and the deletion the machine came back."""
    found = nodes.look(plane.context, node)
    client.delete("v1", "Node", node)
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    nodes.delete(plane.context, node, found)
    assert nodes.look(plane.context, node).presence is Presence.THERE


def test_without_the_api_the_user_is_told_what_to_type(plane: ControlPlane, node: str) -> None:
    plane.forwarder.cut()
    try:
        found = nodes.look(plane.context, node)
        said = nodes.delete(plane.context, node, found)
    finally:
        plane.forwarder.mend()
    assert found.presence is Presence.UNKNOWN
    assert said.endswith(f"it stays until you run: nodisk kubectl delete node {node}")
