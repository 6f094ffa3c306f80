"""What the server concludes from a Node object."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster

from nodisk.kube.client import Object
from nodisk.records.database import Database
from nodisk.records.events import Kind, Progress, iso
from nodisk.server.nodes import APART, Watcher, heartbeat, ready, still_runs
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.values import Stage

ASKED = 1_700_000_000.0


def node(beat: float | str | None, status: str = "True") -> dict[str, Any]:
    one: dict[str, Any] = {"type": "Ready", "status": status}
    if beat is not None:
        one["lastHeartbeatTime"] = iso(beat) if isinstance(beat, float) else beat
    return {"status": {"nodeInfo": {"bootID": "b"}, "conditions": [{"type": "MemoryPressure"}, one]}}


@pytest.mark.parametrize("beat", [None, "", "yesterday", "null"])
def test_no_heartbeat(beat: str | None) -> None:
    assert heartbeat(node(beat)) is None
    assert heartbeat({}) is None
    assert not still_runs(node(beat), Progress(Stage.IPXE, ASKED))


def test_a_heartbeat_as_kubelet_writes_it() -> None:
    assert heartbeat(node("2023-11-14T22:13:20Z")) == ASKED


def test_a_machine_that_goes_on_reporting_was_not_switched_off() -> None:
    asked = Progress(Stage.IPXE, ASKED)
    late, early = ASKED + APART + 1, ASKED + APART - 1
    assert still_runs(node(late), asked)
    assert still_runs(node(late), Progress(Stage.DHCP, ASKED))
    assert not still_runs(node(early), asked), "the last word before it was switched off, by a clock that is ahead"
    assert not still_runs(node(late, "Unknown"), asked)
    assert not still_runs(node(late), Progress(Stage.KERNEL, ASKED, boot_id="c")), "it really boots"
    assert not still_runs(node(late), Progress(Stage.READY, ASKED, boot_id="b"))
    assert not still_runs(node(late), Progress())


class _Api(Cluster):
    """Writing anything breaks in a way that nobody thought of."""

    def becomes(self, obj: Object) -> Object:
        raise ValueError(obj["metadata"]["name"])


def test_no_file_of_the_users_keeps_the_nodes_from_being_watched(tmp_path: Path) -> None:
    lab = parse(
        "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\n"
        'machines: [{name: cp1, mac: "52:54:00:77:00:0b", address: 10.77.0.11, role: control-plane}]\n',
        file=tmp_path / "lab.yaml",
    )
    state = State(tmp_path).lab("room")
    (state.root / "addons").mkdir(parents=True)
    (state.root / "addons" / "tools.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: odd}}\n")
    state.pki.mkdir()
    (state.pki / "sa.pub").write_bytes(b"")
    with Database(state.database) as database:
        for _ in range(2):
            Watcher(lab, state).prepare(database, _Api().client)
        said = [event.detail for event in database.events(kinds=(Kind.DAEMON,))]
    assert "add-ons: ValueError: odd" in said


def test_a_lab_without_a_cluster_has_no_node_that_is_ready(tmp_path: Path) -> None:
    assert not asyncio.run(ready(State(tmp_path).lab("room"), "w1"))
