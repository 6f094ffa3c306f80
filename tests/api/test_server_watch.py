"""What the lab's server does in the cluster: stages of nodes, labels, tokens after a rotation, add-ons."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.access import allowed
from tests.support.waits import until

from nodisk.kube import addons, tokens
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Conflict, NotFound, Overloaded
from nodisk.pki import certs
from nodisk.records.database import Database
from nodisk.records.events import Kind, progress
from nodisk.server import marks
from nodisk.server.nodes import Watcher
from nodisk.spec.model import Lab
from nodisk.values import Stage

BOOT_1, BOOT_2 = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


@contextmanager
def watching(plane: ControlPlane, lab: Lab | None = None) -> Iterator[Watcher]:
    watcher = Watcher(lab or plane.lab, plane.lab_state, connect=lambda _: plane.client(patience=0))
    thread = threading.Thread(target=lambda: asyncio.run(watcher.run()))
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join(120)
        assert not thread.is_alive()


def kubelet_says(client: Client, name: str, boot_id: str, ready: str, *, beat: float | None = None) -> None:
    """What a kubelet writes into its node's status."""
    path = client.path("v1", "Node", name, subresource="status")
    info = {"bootID": boot_id, "kubeletVersion": "v1.20.2"}
    condition = {"type": "Ready", "status": ready}
    if beat is not None:
        condition["lastHeartbeatTime"] = f"{datetime.fromtimestamp(beat, UTC):%Y-%m-%dT%H:%M:%SZ}"
    change: Object = {"status": {"nodeInfo": info, "conditions": [condition]}}
    client.request("PATCH", path, body=change, content_type="application/merge-patch+json")


@pytest.fixture
def node(client: Client) -> Iterator[str]:
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}})
    # The API server taints a new node as not ready, and the controller manager takes that away: with all taints that it
    # hasn't seen yet (it patches the list without a version), so none is set before.
    until(lambda: not client.get("v1", "Node", "w1").get("spec", {}).get("taints"))
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
        assert "node-role.kubernetes.io/worker" in labels

        kubelet_says(client, node, BOOT_1, "Unknown")
        until(
            lambda: [e.detail for e in database.events(kinds=(Kind.NODE,))] == ["the node's Ready condition is Unknown"]
        )

        # Power cut: the object still says Ready, of the boot before. That is no news of this boot.
        kubelet_says(client, node, BOOT_1, "True")
        told(Stage.IPXE, None)
        told(Stage.KERNEL, BOOT_2)
        client.patch("v1", "Node", node, {"metadata": {"annotations": {"touched": "1"}}})
        time.sleep(1)  # it writes nothing of what is no news, so there is nothing to wait for
        assert reached() == (Stage.KERNEL, BOOT_2)
        kubelet_says(client, node, BOOT_2, "True")
        until(lambda: reached() == (Stage.READY, BOOT_2))

        # Somebody on the machine fetches its script: it looks like a boot, until its kubelet goes on reporting.
        now = time.time()
        with Database(plane.lab_state.database, now=lambda: now - 300) as earlier:
            earlier.record(Kind.STAGE, "", source="test", mac=mac, machine=node, stage=Stage.IPXE)
        kubelet_says(client, node, BOOT_2, "True", beat=now - 301)
        time.sleep(1)  # as above
        assert reached() == (Stage.IPXE, None)
        kubelet_says(client, node, BOOT_2, "True", beat=now)
        until(lambda: reached() == (Stage.READY, BOOT_2))


def changed(plane: ControlPlane, **parts: object) -> Lab:
    """The lab after an edit of w1 in lab.yaml."""
    value = plane.lab.model_dump(mode="json")
    value["machines"][1] |= parts
    return Lab.model_validate(value)


def marked(client: Client, node: str) -> tuple[dict[str, str], set[tuple[str, str, str]]]:
    """The node's labels, and its taints as key, value and effect."""
    found = client.get("v1", "Node", node)
    taints = found.get("spec", {}).get("taints") or []
    labels: dict[str, str] = found["metadata"].get("labels") or {}
    return labels, {(one["key"], one.get("value", ""), one["effect"]) for one in taints}


SLOW = {"key": "slow", "value": "yes", "effect": "PreferNoSchedule"}
EXAM = {"key": "example.org/exam", "effect": "NoExecute"}


def test_labels_and_taints_follow_lab_yaml(
    plane: ControlPlane, client: Client, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a node that is there already; what others set stays, also what they set at the same time."""
    hand = {"metadata": {"labels": {"by": "hand"}}, "spec": {"taints": [{"key": "byhand", "effect": "NoSchedule"}]}}
    client.patch("v1", "Node", node, hand)
    others = {("byhand", "", "NoSchedule")}
    first = changed(plane, labels={"room": "b12", "node-restriction.kubernetes.io/exam": "no"}, taints=[SLOW, EXAM])
    with watching(plane, first):
        both = {("slow", "yes", "PreferNoSchedule"), ("example.org/exam", "", "NoExecute")}
        until(lambda: marked(client, node)[1] == others | both)
        wanted = {"by": "hand", "room": "b12", "node-restriction.kubernetes.io/exam": "no"}
        until(lambda: marked(client, node)[0] == wanted | {"node-role.kubernetes.io/worker": ""})
        # What somebody changes of it is put right; what he adds is his.
        client.patch("v1", "Node", node, {"metadata": {"labels": {"room": "b99", "mine": "1"}}})
        until(lambda: marked(client, node)[0].get("room") == "b12")
        client.patch("v1", "Node", node, {"spec": {"taints": [{"key": "later", "effect": "NoSchedule"}]}})
        others = {("later", "", "NoSchedule")}
        until(lambda: marked(client, node)[1] == others | both)
    second = changed(plane, labels={"room": "b13"}, taints=[SLOW | {"value": "very"}])
    with watching(plane, second):
        until(lambda: marked(client, node)[1] == others | {("slow", "very", "PreferNoSchedule")})
        wanted = {"by": "hand", "mine": "1", "room": "b13", "node-role.kubernetes.io/worker": ""}
        until(lambda: marked(client, node)[0] == wanted)
    del wanted["room"]
    with watching(plane):
        until(lambda: marked(client, node) == (wanted, others))
        assert not (client.get("v1", "Node", node)["metadata"].get("annotations") or {}).get(marks.TAINTS)
        # Where all is as it should be, nothing is written: a change by others is the last one.
        looks: list[bool] = []
        real = marks.reconcile

        def counted(*words: Any) -> bool:
            looks.append(real(*words))
            return looks[-1]

        monkeypatch.setattr(marks, "reconcile", counted)
        client.patch("v1", "Node", node, {"metadata": {"annotations": {"touched": "2"}}})
        until(lambda: looks)
        time.sleep(1)  # a write of its own would be heard of by then, and be looked at again
        assert not any(looks)


def test_what_an_api_too_busy_refused_is_tried_again_soon(
    plane: ControlPlane, client: Client, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle node's next change may be minutes away."""
    asked, real = [], marks.reconcile

    def busy_at_first(*words: Any) -> bool:
        asked.append(words)
        if len(asked) == 1:
            raise Overloaded("too busy")
        return real(*words)

    monkeypatch.setattr(marks, "reconcile", busy_at_first)
    with watching(plane):
        until(lambda: "node-role.kubernetes.io/worker" in marked(client, node)[0])


def test_no_node_is_made(plane: ControlPlane, client: Client) -> None:
    """A node that is deleted while its labels are on their way stays deleted."""
    client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}})
    seen = client.get("v1", "Node", "w1")
    client.delete("v1", "Node", "w1")
    assert marks.reconcile(client, plane.lab.machines[1], seen) is False
    with pytest.raises(NotFound):
        client.get("v1", "Node", "w1")


def test_a_change_meanwhile_is_not_overwritten(plane: ControlPlane, client: Client, node: str) -> None:
    """Taints are written for the very version that was read: a Conflict, and the next event tries again."""
    machine = changed(plane, taints=[SLOW]).machines[1]
    stale = marks.taints_change(machine, client.get("v1", "Node", node))
    assert stale
    client.patch("v1", "Node", node, {"spec": {"taints": [EXAM]}})
    with pytest.raises(Conflict):
        client.patch("v1", "Node", node, stale)
    assert marked(client, node)[1] == {("example.org/exam", "", "NoExecute")}


def test_the_watch_outlives_the_api(
    plane: ControlPlane, client: Client, node: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nodisk")
    mac = plane.lab.machines[1].mac
    with Database(plane.lab_state.database) as database, watching(plane):
        plane.forwarder.cut()
        database.record(Kind.STAGE, "", source="test", mac=mac, machine=node, boot_id=BOOT_2, stage=Stage.IPXE)
        database.record(Kind.STAGE, "", source="test", mac=mac, machine=node, boot_id="3" + BOOT_2[1:], stage=Stage.OS)
        until(lambda: "watch" in caplog.text)  # it has met the cut, and tries again
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
        assert allowed(account, "get", "pods", namespace="tokens") is False, "it is known, and may do nothing"


def test_add_ons_are_applied_and_one_that_is_refused_stops_no_other(client: Client, tmp_path: Path) -> None:
    (tmp_path / "20-map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: added}\ndata: {a: b}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name, namespace: added}\n"
    )
    (tmp_path / "10-first.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: added}\n---\n")
    (tmp_path / "15-broken.yaml").write_text("a: [")
    objects, bad = addons.read(tmp_path)
    assert [text.partition(" is not YAML")[0] for text in bad] == [str(tmp_path / "15-broken.yaml")]
    count, problems = addons.apply(client, objects)
    assert count == 2
    assert len(problems) == 1
    assert problems[0].startswith("20-map.yaml: ConfigMap Not_A_Name: ")
    assert client.get("v1", "ConfigMap", "m", namespace="added")["data"] == {"a": "b"}


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "kind: Pod\n"])
def test_files_that_are_no_manifests_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    objects, [problem] = addons.read(tmp_path)
    assert objects == []
    assert str(tmp_path / "x.yaml") in problem
