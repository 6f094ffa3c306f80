"""What the lab's server does in the cluster: stages of nodes, labels, tokens after a rotation, add-ons."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane

from nodisk.cluster import addons, tokens
from nodisk.cluster.client import Client, Object
from nodisk.errors import SpecError
from nodisk.pki import certs
from nodisk.server.database import Database
from nodisk.server.events import Kind, progress
from nodisk.server.nodes import Watcher
from nodisk.values import Stage

BOOT_1, BOOT_2 = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


def until(condition: Callable[[], object], seconds: float = 30) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not come true in time")


@contextmanager
def watching(plane: ControlPlane) -> Iterator[Watcher]:
    watcher = Watcher(plane.lab, plane.lab_state, connect=lambda _: plane.client(patience=0))
    thread = threading.Thread(target=lambda: asyncio.run(watcher.run()))
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join(20)
        assert not thread.is_alive()


def kubelet_says(client: Client, name: str, boot_id: str, ready: str) -> None:
    """What a kubelet writes into its node's status."""
    path = client.path("v1", "Node", name, subresource="status")
    info = {"bootID": boot_id, "kubeletVersion": "v1.20.2"}
    change: Object = {"status": {"nodeInfo": info, "conditions": [{"type": "Ready", "status": ready}]}}
    client.request("PATCH", path, body=change, content_type="application/merge-patch+json")


@pytest.fixture
def node(client: Client) -> Iterator[str]:
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}})
    yield "w1"
    client.delete("v1", "Node", "w1")


def test_a_node_joins_is_ready_flaps_and_comes_back_after_a_power_cut(
    plane: ControlPlane, client: Client, node: str
) -> None:
    mac = plane.lab.machines[1].mac
    with Database(plane.lab_state.database) as database, watching(plane):

        def told(stage: Stage, boot_id: str | None) -> None:
            database.record(Kind.STAGE, "", source="test", mac=mac, machine=node, boot_id=boot_id, stage=stage)

        def reached() -> tuple[Stage | None, str | None]:
            found = progress(database.events(mac=mac, kinds=(Kind.STAGE,)))
            return found.stage, found.boot_id

        told(Stage.ENROLLED, BOOT_1)
        kubelet_says(client, node, BOOT_1, "False")
        until(lambda: reached() == (Stage.JOINED, BOOT_1))
        kubelet_says(client, node, BOOT_1, "True")
        until(lambda: reached() == (Stage.READY, BOOT_1))
        labels = until(lambda: client.get("v1", "Node", node)["metadata"].get("labels"))
        assert "node-role.kubernetes.io/worker" in labels  # type: ignore[operator]

        kubelet_says(client, node, BOOT_1, "Unknown")
        until(
            lambda: [e.detail for e in database.events(kinds=(Kind.NODE,))] == ["the node's Ready condition is Unknown"]
        )

        # Power cut: the object still says Ready, of the boot before. That is no news of this boot.
        kubelet_says(client, node, BOOT_1, "True")
        told(Stage.IPXE, None)
        told(Stage.KERNEL, BOOT_2)
        client.patch("v1", "Node", node, {"metadata": {"annotations": {"touched": "1"}}})
        time.sleep(1)
        assert reached() == (Stage.KERNEL, BOOT_2)
        kubelet_says(client, node, BOOT_2, "True")
        until(lambda: reached() == (Stage.READY, BOOT_2))


def test_the_watch_outlives_the_api(plane: ControlPlane, client: Client, node: str) -> None:
    mac = plane.lab.machines[1].mac
    with Database(plane.lab_state.database) as database, watching(plane):
        plane.forwarder.cut()
        database.record(Kind.STAGE, "", source="test", mac=mac, machine=node, boot_id=BOOT_2, stage=Stage.IPXE)
        database.record(Kind.STAGE, "", source="test", mac=mac, machine=node, boot_id="3" + BOOT_2[1:], stage=Stage.OS)
        time.sleep(0.5)
        plane.forwarder.mend()
        kubelet_says(client, node, "3" + BOOT_2[1:], "True")
        until(lambda: progress(database.events(mac=mac, kinds=(Kind.STAGE,))).stage is Stage.READY)


def test_tokens_of_an_older_key_are_made_anew(plane: ControlPlane, client: Client) -> None:
    """The token controller fills the same Secret again, and the API takes what is in it."""
    public = (plane.lab_state.pki / "sa.pub").read_bytes()
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tokens"}})
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "tokens"}})
    meta = {"name": "t", "namespace": "tokens", "annotations": {"kubernetes.io/service-account.name": "a"}}
    client.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": tokens.TYPE})

    def token() -> str:
        data = client.get("v1", "Secret", "t", namespace="tokens").get("data") or {}
        return base64.b64decode(data.get("token", "")).decode()

    good = str(until(token))
    assert tokens.signed_by(good, public)
    other = certs.new_key()
    assert not tokens.signed_by(good, certs.public_pem(other))
    assert tokens.renew(client, public) == 0, "good ones are left alone"

    content, _, signature = good.rpartition(".")
    bad = f"{content}.{signature[:-6]}AAAAAA"
    client.patch("v1", "Secret", "t", {"data": {"token": base64.b64encode(bad.encode()).decode()}}, namespace="tokens")
    assert tokens.renew(client, public) == 1
    until(lambda: tokens.signed_by(token(), public))
    with client.with_token(token()) as account:
        assert account.allowed("get", "pods", namespace="tokens") is False, "it is known, and may do nothing"


def test_add_ons_are_applied_and_one_that_is_refused_stops_no_other(client: Client, tmp_path: Path) -> None:
    (tmp_path / "20-map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: added}\ndata: {a: b}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name, namespace: added}\n"
    )
    (tmp_path / "10-first.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: added}\n---\n")
    count, problems = addons.apply(client, tmp_path)
    assert count == 2
    assert len(problems) == 1
    assert problems[0].startswith("20-map.yaml: ConfigMap Not_A_Name: ")
    assert client.get("v1", "ConfigMap", "m", namespace="added")["data"] == {"a": "b"}


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "kind: Pod\n"])
def test_files_that_are_no_manifests_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"x\.yaml"):
        list(addons.read(tmp_path))
