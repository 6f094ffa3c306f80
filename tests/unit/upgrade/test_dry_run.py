"""`nodisk upgrade --dry-run` on a real lab.yaml, a real store and the records of machines that booted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.assets.test_built import everything

from nodisk.assets import built
from nodisk.cli import nodisk
from nodisk.errors import NoCluster
from nodisk.plan import boot
from nodisk.plan.facts import Facts
from nodisk.records.database import Database
from nodisk.spec.load import load
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.upgrade import journal
from nodisk.upgrade.journal import Journal

LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
kubernetes: {source: upstream, version: "1.36.1"}
machines:
  - {name: cp1, mac: "52:54:00:77:00:0b", address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: "52:54:00:77:00:15", address: 10.77.0.21}
  - {name: w2, mac: "52:54:00:77:00:16", address: 10.77.0.22}
  - {name: w3, mac: "52:54:00:77:00:17", address: 10.77.0.23}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(LAB)
    return tmp_path


def build(folder: Path, number: int) -> Lab:
    room, state = load(folder / "lab.yaml"), State(folder / "state")
    built.record(state, room, everything(state, number), why="a test")
    return room


def boots(folder: Path, room: Lab, *names: str) -> None:
    """As the server records what it hands out."""
    state = State(folder / "state")
    facts = Facts("a CA", *built.facts(state, room))
    with Database(state.lab("room").database) as database:
        for name in names:
            machine = room.machine(name)
            assert machine is not None
            database.serve(machine.mac, {"script": boot.machine_script(room, facts, machine, None)})


def upgrade(folder: Path, *words: str) -> Result:
    where = ["--lab", str(folder / "lab.yaml"), "--state", str(folder / "state")]
    return CliRunner().invoke(nodisk, ["upgrade", *words, *where])


def shown(folder: Path, *words: str) -> dict[str, Any]:
    done = upgrade(folder, "--dry-run", "--output", "json", *words)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_from_build_to_build(folder: Path) -> None:
    room = build(folder, 1)
    boots(folder, room, "cp1", "w1", "w2")
    now = shown(folder)
    assert (now["steps"], now["done"], now["never_booted"]) == ([], ["cp1", "w1", "w2"], ["w3"])
    build(folder, 2)
    now = shown(folder, "--wave", "2")
    assert (now["steps"], now["api_gap"]) == ([["cp1"], ["w1", "w2"]], True)
    boots(folder, room, "cp1", "w1")
    now = shown(folder, "--wave", "100%")
    assert (now["steps"], now["done"], now["api_gap"]) == ([["w2"]], ["cp1", "w1"], False)


def test_in_words(folder: Path) -> None:
    boots(folder, build(folder, 1), "cp1", "w1")
    build(folder, 2)
    done = upgrade(folder, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "cp1 is the only control plane" in done.output
    assert "never booted, and gets the current build when it does: w2, w3" in done.output


def test_lab_yaml_that_asks_for_what_is_not_built(folder: Path) -> None:
    build(folder, 1)
    (folder / "lab.yaml").write_text(LAB.replace("1.36.1", "1.37"))
    done = upgrade(folder, "--dry-run")
    assert (done.exit_code, type(done.exception).__name__) == (1, "EnvironmentProblem")
    assert "nodisk build" in str(getattr(done.exception, "hint", ""))


def test_what_is_refused(folder: Path) -> None:
    room = build(folder, 1)
    assert upgrade(folder, "--dry-run", "--wave", "half").exit_code == 2
    assert upgrade(folder, "--dry-run", "--to", "soon").exit_code == 2
    assert "no machine runs another build" in upgrade(folder).output
    assert "no upgrade has begun" in str(upgrade(folder, "--back").exception)
    boots(folder, room, "cp1", "w1")
    build(folder, 2)
    other = upgrade(folder, "--to", "1.37").exception
    assert "the current build has Kubernetes 1.36.1, not 1.37" in str(other)
    assert "--upgrade-to 1.37" in str(getattr(other, "hint", ""))
    assert "not 1.36.2" in str(upgrade(folder, "--to", "1.36.2").exception)
    assert "no backup of the last 24 hours was proved" in str(upgrade(folder, "--to", "1.36").exception)
    assert "the server of room is not running" in str(upgrade(folder, "--without-backup").exception)
    assert not (folder / "state/labs/room/upgrade.json").exists()
    assert not (folder / "state/labs/room/holds.json").exists()


def test_where_an_upgrade_stands(folder: Path) -> None:
    boots(folder, build(folder, 1), "cp1", "w1", "w2")
    room = build(folder, 2)
    boots(folder, room, "cp1")
    steps = (("cp1",), ("w1", "w2"))
    found = Journal("a key", steps, done=("cp1",), away=("w1", "w2"))
    journal.write(State(folder / "state").lab("room"), found)
    assert shown(folder)["underway"] is True
    assert "an upgrade has begun: 1 machines are done, 2 are not" in upgrade(folder, "--dry-run").output


def test_no_cluster_no_upgrade(folder: Path) -> None:
    (folder / "lab.yaml").write_text(LAB.replace('{source: upstream, version: "1.36.1"}', "{engine: none}"))
    assert isinstance(upgrade(folder).exception, NoCluster)
