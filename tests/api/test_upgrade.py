"""An upgrade on a real API server: its nodes are objects, and this test is the machines that boot.

What a machine boots is what a server would hand it now, by the same code: the records are as the server writes them.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.api.apiserver import ControlPlane
from tests.api.test_drain import pod
from tests.unit.assets.test_built import everything

from nodisk.assets import built, holds
from nodisk.cli import nodisk
from nodisk.context import LabContext
from nodisk.errors import Busy, EnvironmentProblem, NodiskError
from nodisk.kube.client import Client
from nodisk.plan.facts import Facts
from nodisk.records.database import Database
from nodisk.server import assets as server_assets
from nodisk.server.texts import Held, Texts
from nodisk.spec.load import load
from nodisk.upgrade import begin, journal
from nodisk.upgrade.journal import Journal
from nodisk.upgrade.plan import Wave
from nodisk.upgrade.walk import Edges, Limits, Walk

LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
kubernetes: {source: upstream, version: "1.36.1"}
machines:
  - {name: up-cp1, mac: "52:54:00:78:00:0b", address: 10.77.0.31, role: control-plane}
  - {name: up-cp2, mac: "52:54:00:78:00:0c", address: 10.77.0.32, role: control-plane}
  - {name: up-w1, mac: "52:54:00:78:00:15", address: 10.77.0.41}
  - {name: up-w2, mac: "52:54:00:78:00:16", address: 10.77.0.42}
  - {name: up-w3, mac: "52:54:00:78:00:17", address: 10.77.0.43}
"""
NAMES = ("up-cp1", "up-cp2", "up-w1", "up-w2", "up-w3")
INFO = (
    *("architecture", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "machineID"),
    *("operatingSystem", "osImage", "systemUUID"),
)

BRIEFLY = 6.0
"""Seconds for a machine to be back, and for the API to be away: lost in each test, and more than a busy host needs."""


class Killed(BaseException):
    """Ends a walk as ``kill -9`` does: see ``Dying``."""


class Dying(Walk):
    """A walk that cleans nothing up once it was killed."""

    killed = False

    def _reopen(self, names: tuple[str, ...]) -> None:
        if not self.killed:
            super()._reopen(names)


@dataclass
class Room:
    """Machines with two builds in the store."""

    context: LabContext
    client: Client
    boots: list[tuple[str, ...]] = field(default_factory=list)
    tests: int = 0
    broken: Callable[[str, str], bool] = lambda _name, _rootfs: False
    """Whether a machine's kubelet doesn't start on a build."""
    rootfs: dict[str, str] = field(default_factory=dict)
    """What each machine runs."""

    def build(self, number: int) -> str:
        made = everything(self.context.state.state, number)
        built.record(self.context.state.state, self.context.lab, made, why="a test")
        return made["image"].file("root.squashfs").sha256

    def texts(self) -> Texts:
        found = server_assets.find(self.context.state, self.context.lab)
        held = {key: Held(Facts("", *one.facts), {}) for key, one in found.held.items()}
        return Texts(self.context.lab, Facts("", found.image, found.release), {}, {}, held=held, held_at=found.held_at)

    def boot(self, names: tuple[str, ...]) -> None:
        self.boots.append(names)
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        machine = self.context.lab.machine(name)
        assert machine is not None
        script = self.texts().script(machine, None)
        self.rootfs[name] = script.partition("nodisk.sha256=")[2].split()[0]
        with Database(self.context.state.database) as database:
            database.serve(machine.mac, {"script": script})
        ready = "False" if self.broken(name, self.rootfs[name]) else "True"
        info = dict.fromkeys(INFO, "") | {"kubeletVersion": "v1.36.1", "bootID": str(uuid.uuid4())}
        status = {"nodeInfo": info, "conditions": [{"type": "Ready", "status": ready}]}
        path = self.client.path("v1", "Node", name, subresource="status")
        self.client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")

    def verify(self) -> None:
        self.tests += 1

    def walk(self, *, back: bool = False, kind: type[Walk] = Walk, within: float = 60.0, **edges: Any) -> Walk:
        """As the command begins it, or goes on."""
        old = journal.read(self.context.state)
        found = old.turned() if back and old is not None else begin.begin(self.context, Wave.parse("2"), old)
        ways = {"boot": self.boot, "verify": self.verify, "serve": lambda: None, "armed": lambda _: nullcontext()}
        found = begin.without_strangers(self.context, found)
        api, drain, leave = edges.pop("api", 10.0), edges.pop("drain", 30.0), edges.pop("leave_pods", False)
        limits = Limits(drain=drain, boot=within, leave_pods=leave, api=api)
        made = kind(self.context, begin.current(self.context), Edges(**{**ways, **edges}), limits, found)
        made.start()
        return made

    def finish(self, walk: Walk) -> Journal:
        walk.run()
        begin.end(self.context, walk.journal)
        return walk.journal

    def closed(self) -> list[str]:
        nodes = self.client.list("v1", "Node")
        return [one["metadata"]["name"] for one in nodes if one["spec"].get("unschedulable")]


@pytest.fixture
def room(plane: ControlPlane, client: Client, tmp_path: Path) -> Iterator[Room]:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    state = plane.lab_state
    made = Room(LabContext(load(file), file, state, "nodisk-test"), client)
    for name in NAMES:
        client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    made.build(1)
    made.boot(NAMES)
    made.boots.clear()
    yield made
    for name in NAMES:
        client.delete("v1", "Node", name)
    for path in (state.built, state.holds, state.upgrade):
        path.unlink(missing_ok=True)


STEPS = [("up-cp1",), ("up-cp2",), ("up-w1", "up-w2"), ("up-w3",)]


def test_the_whole_room_in_order(room: Room) -> None:
    new = room.build(2)

    def boot(names: tuple[str, ...]) -> None:
        assert set(room.closed()) == set(names)
        later = [name for name in NAMES if name not in names and room.rootfs[name] != new]
        for name in later:  # a power cut in the middle: they boot what they had
            room.start(name)
            assert room.rootfs[name] != new
        room.boot(names)

    done = room.finish(room.walk(boot=boot))
    assert (room.boots, room.tests) == (STEPS, 4)
    assert set(room.rootfs.values()) == {new}
    assert set(done.done) == set(NAMES)
    assert room.closed() == []
    assert holds.read(room.context.state).machines == {}
    assert journal.read(room.context.state) is None


def test_the_first_that_does_not_come_back_goes_back_by_itself(room: Room) -> None:
    old, new = room.rootfs["up-cp1"], room.build(2)
    room.broken = lambda _, rootfs: rootfs == new
    walk = room.walk(within=BRIEFLY)
    with pytest.raises(NodiskError, match="runs the one before again: up-cp1: its node is not Ready") as caught:
        walk.run()
    assert "(0 machines are done, 5 are not)" in caught.value.message
    assert room.boots == [("up-cp1",), ("up-cp1",)]
    assert set(room.rootfs.values()) == {old}
    room.start("up-cp1")
    assert (room.rootfs["up-cp1"], room.closed()) == (old, [])
    # Mended: the same command begins with it again.
    room.broken = lambda _name, _rootfs: False
    room.boots.clear()
    room.finish(room.walk())
    assert (room.boots, set(room.rootfs.values())) == (STEPS, {new})


def test_a_later_one_stops_it_and_all_that_went_can_go_back(room: Room) -> None:
    old, new = room.rootfs["up-cp1"], room.build(2)
    room.broken = lambda name, rootfs: name == "up-w2" and rootfs == new
    with pytest.raises(NodiskError, match="up-w2: its node is not Ready") as caught:
        room.walk(within=BRIEFLY).run()
    assert "--back goes back" in str(caught.value.hint)
    assert room.boots == STEPS[:3]
    room.boots.clear()
    done = room.finish(room.walk(back=True))
    assert room.boots == [("up-w1", "up-w2"), ("up-cp2",), ("up-cp1",)]
    assert done.back
    assert (set(room.rootfs.values()), room.closed()) == ({old}, [])
    assert len(holds.read(room.context.state).machines) == len(NAMES)  # the current build is still the new one
    room.broken = lambda _name, _rootfs: False
    room.finish(room.walk())
    assert set(room.rootfs.values()) == {new}
    assert not room.context.state.holds.exists()


@pytest.mark.parametrize(
    ("number", "when"), [*((number, "before") for number in range(8)), (0, "after"), (4, "after"), (7, "after")]
)
def test_killed_at_every_stage_and_continued(room: Room, number: int, when: str) -> None:
    """Before and after each boot and each test of the cluster; nothing is cleaned up."""
    new, count = room.build(2), iter(range(99))
    walk: Dying

    def dying(act: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*args: Any) -> None:
            dies = next(count) == number
            if not (dies and when == "before"):
                act(*args)
            if dies:
                walk.killed = True
                raise Killed

        return wrapped

    begun = room.walk(kind=Dying, boot=dying(room.boot), verify=dying(room.verify))
    assert isinstance(begun, Dying)
    walk = begun
    with pytest.raises(Killed):
        walk.run()
    room.finish(room.walk())
    assert (set(room.rootfs.values()), room.closed()) == ({new}, [])
    assert room.boots == STEPS, "a machine that was back is not booted a second time"
    assert journal.read(room.context.state) is None


def test_ctrl_c_leaves_no_node_closed(room: Room) -> None:
    room.build(2)

    def boot(_: tuple[str, ...]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.walk(boot=boot).run()
    assert room.closed() == []
    found = journal.read(room.context.state)
    assert found is not None
    assert found.away == ("up-cp1",)


@pytest.fixture
def stuck(client: Client, room: Room) -> Iterator[None]:
    """A pod on the first worker that its budget lets nobody take away."""
    meta = {"name": "up-owner", "namespace": "default"}
    owner = client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    made = pod("up-stuck", "up-w1", owner)
    made["metadata"]["labels"] = {"app": "up-stuck"}
    client.create(made)
    # A pending pod goes, whatever its budget says.
    path = client.path("v1", "Pod", "up-stuck", namespace="default", subresource="status")
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
    version = client.first_supported("PodDisruptionBudget", ("policy/v1", "policy/v1beta1"))
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "up-stuck"}}}
    budget = {"apiVersion": version, "kind": "PodDisruptionBudget", "metadata": {**meta, "name": "up-stuck"}}
    client.create({**budget, "spec": spec})
    yield
    client.delete(str(version), "PodDisruptionBudget", "up-stuck", namespace="default")
    client.delete("v1", "Pod", "up-stuck", namespace="default", grace=0)
    client.delete("v1", "ConfigMap", "up-owner", namespace="default")


@pytest.mark.usefixtures("stuck")
def test_a_node_that_never_drains_stops_it_before_it_boots(room: Room) -> None:
    new = room.build(2)
    with pytest.raises(NodiskError, match="pods did not leave up-w1, up-w2 within 1 s: default/up-stuck") as caught:
        room.walk(drain=1.0, api=1.0).run()
    assert "--leave-pods" in str(caught.value.hint)
    assert (room.boots, room.closed()) == (STEPS[:2], [])
    room.finish(room.walk(drain=1.0, api=1.0, leave_pods=True))
    assert (room.boots, set(room.rootfs.values())) == (STEPS, {new})


def test_a_cluster_that_fails_its_test_stops_it(room: Room) -> None:
    room.build(2)

    def verify() -> None:
        raise NodiskError("nodisk verify --quick fails: service")

    with pytest.raises(NodiskError, match="up-cp1: back, but nodisk verify --quick fails: service"):
        room.walk(verify=verify).run()
    room.finish(room.walk())
    assert room.boots == STEPS


def test_the_second_of_two_is_told_who_holds_it(room: Room) -> None:
    room.build(2)
    words = ["upgrade", "--lab", str(room.context.file), "--state", str(room.context.state.state.root)]
    with begin.lock(room.context):
        done = CliRunner().invoke(nodisk, words)
    assert isinstance(done.exception, Busy)
    assert "the upgrade of room is in use by process" in done.exception.message


def test_a_build_that_skips_minors_is_refused_before_anything_is_done(room: Room) -> None:
    """The API server is a 1.20, and the build a 1.36."""
    room.build(2)
    words = ["--lab", str(room.context.file), "--state", str(room.context.state.state.root), "--without-backup"]
    done = CliRunner().invoke(nodisk, ["upgrade", *words])
    assert isinstance(done.exception, EnvironmentProblem)
    assert done.exception.message == "this upgrade would break the cluster"
    assert "go by 1.21 → 1.22" in done.output
    assert journal.read(room.context.state) is None
    assert not room.context.state.holds.exists()


def test_a_control_plane_that_takes_the_api_with_it(
    room: Room, plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the new build the API never answers again, and the first way back fails as well."""
    old, new = room.rootfs["up-cp1"], room.build(2)
    tries = iter(range(99))

    def boot(names: tuple[str, ...]) -> None:
        number = next(tries)
        if number == 2:
            plane.forwarder.mend()
        if number != 1:  # the machine that stays silent even on its old build
            room.boot(names)
        if number == 0:
            plane.forwarder.cut()

    try:
        with pytest.raises(NodiskError, match="nor with the build before: up-cp1: the API doesn't answer"):
            room.walk(within=BRIEFLY, api=1.0, boot=boot).run()
        room.finish(room.walk(back=True, api=1.0, boot=boot))
    finally:
        if next(tries) < 3:
            plane.forwarder.mend()
    assert (set(room.rootfs.values()), room.closed()) == ({old}, [])
    assert "pods could not be moved" in capsys.readouterr().err
    room.finish(room.walk())
    assert set(room.rootfs.values()) == {new}


def test_the_api_s_gap_is_told(room: Room, plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    room.build(2)
    asked = iter(range(99))

    def boot(names: tuple[str, ...]) -> None:
        room.boot(names)
        if next(asked) == 0:
            plane.forwarder.cut()
            threading.Timer(BRIEFLY, plane.forwarder.mend).start()

    room.finish(room.walk(boot=boot))
    assert capsys.readouterr().err.count("the API was away for") == 1


def test_a_machine_that_left_the_lab_meanwhile_is_not_waited_for(room: Room) -> None:
    room.build(2)
    with pytest.raises(NodiskError):
        room.walk(within=0.1, boot=lambda _: None).run()
    text = room.context.file.read_text()
    room.context.file.write_text("".join(line for line in text.splitlines(keepends=True) if "up-w2" not in line))
    room.context = replace(room.context, lab=load(room.context.file))
    room.finish(room.walk())
    assert room.boots == [("up-cp1",), ("up-cp2",), ("up-w1",), ("up-w3",)]
