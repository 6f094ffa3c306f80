"""The pods of the check ``isolation`` in a made-up room: where they are, whom they reach, which are missing."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.cluster import Cluster

from nodisk.assets.container_images import ECHO_PORT
from nodisk.classes import selftest
from nodisk.classes.record import Account
from nodisk.errors import NodiskError
from nodisk.kube.client import Object
from nodisk.kube.errors import ApiError
from nodisk.verify import ring
from nodisk.verify.checks.isolation import SCRIPT, Turn
from nodisk.verify.ring import Seen
from nodisk.waiting import Deadline

SPACES = ("class-s01", "class-s02")


class Room(Cluster):
    """API server, nodes and network: a pod runs where it must, and what it may not reach is dropped at either end."""

    pace = 1.0

    def __init__(self, *, dead: tuple[str, ...] = (), stuck: tuple[str, ...] = (), mute: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.dead, self.stuck, self.mute = dead, stuck, mute
        self.numbers, self.most = itertools.count(2), 0
        self.refuses = False

    def becomes(self, obj: Object) -> Object:
        if self.refuses:
            raise ApiError("exceeded quota", status=403)
        (term,) = obj["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        (node,) = term["matchFields"][0]["values"]
        status: dict[str, Any] = {"phase": "Running", "podIP": f"10.244.0.{next(self.numbers)}"}
        if node in self.stuck:
            waits = {"type": "PodScheduled", "status": "False", "message": "Insufficient memory"}
            status = {"phase": "Pending", "conditions": [waits]}
        self.most = max(self.most, len(self.objects) + 1)
        return {**obj, "spec": {"nodeName": node}, "status": status}

    def exec(self, pod: str, script: str, *, space: str, timeout: float) -> str:
        assert timeout > 0
        source = self.get("v1", "Pod", pod, namespace=space)
        if source["spec"]["nodeName"] in self.mute:
            raise NodiskError("kubectl exec: the kubelet does not answer")
        by_address = {one["status"].get("podIP"): one for one in self.list("v1", "Pod")}

        def reaches(address: str) -> bool:
            there = by_address[address]
            nodes = {source["spec"]["nodeName"], there["spec"]["nodeName"]}
            return there["metadata"]["namespace"] == space or nodes <= set(self.dead)

        own = re.search(r"^reach 5 ([\d.]+)", script, re.MULTILINE)
        assert own
        wishes = {"own": own[1], **dict(re.findall(r"(here|across)=([\d.]+)", script))}
        return "\n".join(word for word, address in wishes.items() if reaches(address))


def turn(room: Room, *nodes: str, seconds: float = 60.0) -> tuple[list[ring.Way], dict[str, str]]:
    """One ring in the room."""
    late: dict[str, str] = {}
    students = [(selftest.Tester(Account(key=one, name=one, label=one), room.client), one) for one in SPACES]
    ways = Turn(cast("Any", room), students, ring.seats(nodes), late).ways(Deadline(seconds))
    assert room.objects == {}, "all are deleted"
    assert room.graces == {0}
    return ways, late


@pytest.mark.parametrize("nodes", [("w1",), ("w1", "w2"), ("w1", "w2", "w3")])
def test_two_pods_a_node_try_every_node_and_every_next_one(nodes: tuple[str, ...]) -> None:
    room = Room()
    ways, late = turn(room, *nodes)
    assert late == {}
    assert {way.seen for way in ways} == {Seen.SHUT}
    assert room.most == 2 * max(2, len(nodes))
    wanted = {f"on {node}" for node in nodes}
    if len(nodes) > 1:
        wanted |= {f"from {a} to {b}" for a, b in zip(nodes, (*nodes[1:], nodes[0]), strict=True)}
    assert {str(way) for way in ways} == wanted


def test_the_node_that_does_not_enforce_is_found() -> None:
    ways, _ = turn(Room(dead=("w2",)), "w1", "w2", "w3")
    assert ring.enforces_not(ways) == ["w2"]


def test_a_node_whose_pods_do_not_run_is_named_and_the_others_are_tried() -> None:
    ways, late = turn(Room(dead=("w3",), stuck=("w1",)), "w1", "w2", "w3", seconds=0.2)
    assert late == {"w1": "the pod does not run in the time that there is: Insufficient memory"}
    assert ring.enforces_not(ways) == ["w3"]
    assert {way.source for way in ways} == {"w2", "w3"}


def test_a_node_whose_pods_cannot_be_asked_is_named() -> None:
    ways, late = turn(Room(mute=("w1",)), "w1", "w2", "w3")
    assert late == {"w1": "kubectl exec: the kubelet does not answer"}
    assert {way.seen for way in ways if way.source == "w1"} == {Seen.BROKEN}


def test_pods_that_cannot_be_created_are_not_waited_for() -> None:
    room = Room()
    room.refuses = True
    late: dict[str, str] = {}
    students = [(selftest.Tester(Account(key=one, name=one, label=one), room.client), one) for one in SPACES]
    assert Turn(cast("Any", room), students, ["w1", "w2"], late).ways(Deadline(60)) == []
    assert late == dict.fromkeys(("w1", "w2"), "exceeded quota")


@pytest.mark.parametrize(
    ("others", "open_to", "said"),
    [
        ("here=10.0.0.2 across=10.0.0.3", "10.0.0.1", {"own"}),
        ("here=10.0.0.2 across=10.0.0.3", "10.0.0.1|10.0.0.3", {"own", "across"}),
        ("here=10.0.0.2 across=10.0.0.3", "10.0.0.2", {"here"}),
        ("", "10.0.0.1", {"own"}),
        ("", "", set()),
    ],
)
def test_a_shell_runs_the_script(tmp_path: Path, others: str, open_to: str, said: set[str]) -> None:
    """With the pod's programs replaced, as no such network is here: nc reaches some addresses."""
    programs = {
        "timeout": 'shift; exec "$@"',
        "sleep": "exit 0",
        "nc": f'[ "$2 $3 $4" = "8080 -e true" ] || exit 9; case $1 in {open_to or "none"}) exit 0;; esac; exit 1',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = SCRIPT.format(port=ECHO_PORT, own="10.0.0.1", others=others, limit=5)
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True, timeout=120
    )
    assert set(done.stdout.split()) == said
