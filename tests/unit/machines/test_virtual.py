"""Whose state it is: a virtual lab's own, or a real room's, which ``nodisk lab`` leaves alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk import files, run, virtual_record
from nodisk.cli import nodisk
from nodisk.context import LabOptions, SeveralLabs
from nodisk.errors import Busy, EnvironmentProblem, UsageError
from nodisk.machines import processes
from nodisk.machines import virtual as virtual_
from nodisk.machines.power import Power
from nodisk.machines.remains import named
from nodisk.machines.virtual import Virtual
from nodisk.plan.daemons import Host
from nodisk.records import host, running, virtual_lab
from nodisk.spec.model import Lab
from nodisk.state import State

LAB = Lab.model_validate(
    {
        "name": f"test-{os.getpid()}",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "m1", "mac": "52:54:00:77:01:01", "address": "10.77.0.21", "role": "control-plane"}],
    }
)


@pytest.fixture
def virtual(tmp_path: Path) -> Virtual:
    return Virtual(LAB, tmp_path / "lab.yaml", State(tmp_path).lab(str(LAB.name)))


def served(virtual: Virtual, card: str) -> None:
    """As a server leaves the state: what it found of the host, and etcd's data."""
    at, root = virtual.state, virtual.state.root
    found = Host(interface=card, conf=at.conf, run=at.run, data=root, pki=at.pki, objects=root, tftp=at.www)
    host.write(found, at.host)
    (at.etcd / "member").mkdir(parents=True)
    (at.pki).mkdir()


def test_a_state_that_nobody_used_is_nothing_to_protect(virtual: Virtual) -> None:
    said: list[str] = []
    assert not virtual.down(said.append)
    assert said == []
    assert virtual.down(said.append, purge=True) is False
    assert not virtual.state.root.exists()


def test_a_virtual_labs_own_state_goes(virtual: Virtual) -> None:
    served(virtual, "lab0")
    assert virtual.down(lambda _: None, purge=True)
    assert not virtual.state.root.exists()


@pytest.mark.parametrize("purge", [False, True])
def test_a_rooms_state_stays(virtual: Virtual, purge: bool) -> None:
    served(virtual, "enp3s0")
    other = virtual.state.state.lab("other")
    virtual_record.write(other, virtual_record.Record("/labs/other.yaml", "nodisk-other", "lab0", 1, 2))
    with pytest.raises(UsageError, match="its server last ran on the network interface enp3s0") as caught:
        virtual.down(lambda _: None, purge=purge)
    assert "the running virtual lab: --lab /labs/other.yaml" in str(caught.value.hint)
    assert virtual.state.pki.exists()
    with pytest.raises(UsageError, match="is a real room's"):
        virtual.start(lambda _: None)


def test_a_state_of_which_nothing_is_known_stays(virtual: Virtual) -> None:
    served(virtual, "lab0")
    virtual.state.host.write_text(json.dumps({}))
    with pytest.raises(UsageError, match="is a real room's"):
        virtual.down(lambda _: None, purge=True)
    assert virtual.state.pki.exists()


def test_a_state_that_was_restored_may_be_a_virtual_lab_s(virtual: Virtual) -> None:
    """It has etcd's data, and no server of this host has used it."""
    served(virtual, "enp3s0")
    virtual.state.host.unlink()
    assert virtual_lab.room_interface(virtual.state) is None
    assert virtual.down(lambda _: None, purge=True)


def test_a_server_that_runs_elsewhere_keeps_everything(virtual: Virtual) -> None:
    """Also if the last server that came far enough to say so was a virtual one."""
    served(virtual, "lab0")
    virtual_record.write(virtual.state, virtual_record.Record(str(virtual.file), "nodisk-x", "lab0", 1, 2))
    with files.lock(virtual.state.run / running.LOCK, "the server"):
        assert running.process(virtual.state) == os.getpid()
        with pytest.raises(UsageError, match=r"the server of .* \(pid \d+\) is a real room's"):
            virtual.down(lambda _: None)
        assert virtual.state.virtual.exists()
    assert running.process(virtual.state) is None
    assert virtual.down(lambda _: None)


def test_who_tests_the_cluster_is_still_alone_after_the_lab_went_down(virtual: Virtual) -> None:
    """The lab may be up again before a long run has noticed; and its results aren't removed under it."""
    served(virtual, "lab0")
    virtual_record.write(virtual.state, virtual_record.Record(str(virtual.file), "nodisk-x", "lab0", 1, 2))
    with files.lock(virtual.state.measuring, "this cluster"):
        with pytest.raises(Busy, match=f"this cluster is in use by process {os.getpid()} "):
            virtual.down(lambda _: None, purge=True)
        assert virtual.state.virtual.exists(), "nothing was touched"
        assert virtual.down(lambda _: None)
        assert not virtual.state.run.exists()
        with pytest.raises(Busy), files.lock(virtual.state.measuring, "this cluster"):
            pass
    assert virtual.down(lambda _: None, purge=True)


def test_machines_that_run_have_their_memory_already(virtual: Virtual, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_, "need_root", lambda: None)
    monkeypatch.setattr(run, "find", Path)
    monkeypatch.setattr(processes, "available_mib", lambda: 100)
    with pytest.raises(EnvironmentProblem, match="need 2048 MiB of RAM, but this host has only 100"):
        virtual.check()
    monkeypatch.setattr(Power, "pid", lambda *_: 1)
    virtual.check()
    with pytest.raises(EnvironmentProblem, match="need 2048 MiB"):
        virtual.check(another=True)


def test_a_name_that_no_lab_has(virtual: Virtual) -> None:
    state = virtual.state.state
    with pytest.raises(UsageError, match="no lab called 'room'") as caught:
        named(state, "room")
    assert "no lab at all" in str(caught.value.hint)
    served(virtual, "lab0")
    for name in ("room", "", ".", "..", f"../labs/{LAB.name}"):
        with pytest.raises(UsageError) as caught:
            named(state, name)
        assert caught.value.hint == f"there are {LAB.name}"
    assert named(state, str(LAB.name)).down(lambda _: None, purge=True)
    assert not virtual.state.root.exists()


def test_a_room_is_not_taken_down_by_its_name(virtual: Virtual) -> None:
    served(virtual, "enp3s0")
    with pytest.raises(UsageError, match="is a real room's"):
        named(virtual.state.state, str(LAB.name)).down(lambda _: None, purge=True)
    assert virtual.state.pki.exists()


def test_several_labs_are_told_apart_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODISK_LAB", raising=False)
    for name in ("room", "attic"):
        virtual_record.write(State(tmp_path).lab(name), virtual_record.Record("lab.yaml", "nodisk-x", "lab0", 1, 2))
    error = CliRunner().invoke(nodisk, ["lab", "down", "--state", str(tmp_path)]).exception
    assert isinstance(error, UsageError)
    assert (error.message, error.hint) == (
        "several virtual labs are running: attic, room",
        "choose one: nodisk lab down --name attic",
    )
    error = CliRunner().invoke(nodisk, ["lab", "status", "--state", str(tmp_path)]).exception
    assert isinstance(error, SeveralLabs)
    assert error.hint == "choose one with --lab FILE or $NODISK_LAB"


def test_the_only_one_that_runs_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODISK_LAB", raising=False)
    state = State(tmp_path)
    state.lab("off").root.mkdir(parents=True)
    options = LabOptions(None, state)
    with pytest.raises(UsageError, match="no lab found"):
        options.file()
    (file := tmp_path / "rooms" / "mine.yaml").parent.mkdir()
    file.write_text(TEN_LINES)
    virtual_record.write(state.lab("room"), virtual_record.Record(str(file), "nodisk-room", "lab0", 1, 2))
    assert options.file() == file
    assert options.load().netns == "nodisk-room"
    virtual_record.remove(state.lab("room"))
    assert LabOptions(file, state).load().netns is None


def test_a_name_or_a_file_not_both(tmp_path: Path) -> None:
    words = ["lab", "down", "--state", str(tmp_path), "--lab", "lab.yaml", "--name", "room"]
    assert isinstance(CliRunner().invoke(nodisk, words).exception, UsageError)


def test_emulated_machines_get_words_of_their_own(virtual: Virtual) -> None:
    """The server that starts next reads whether QEMU translates; in a real room there is no such note."""
    assert not virtual_lab.emulated(virtual.state)
    virtual_lab.note_emulated(virtual.state, yes=True)
    assert virtual_lab.emulated(virtual.state)
    virtual_lab.note_emulated(virtual.state, yes=False)
    assert not virtual_lab.emulated(virtual.state)
