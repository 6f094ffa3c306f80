"""What `nodisk check` says of the age of the image's packages, and of an upgrade while no API answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.assets.test_built import everything, lab

from nodisk.assets import built, rollback
from nodisk.check import age, upgrade
from nodisk.check.findings import Level
from nodisk.cli import nodisk
from nodisk.context import LabContext
from nodisk.plan import boot, grub
from nodisk.plan.facts import Facts
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.values import KubeVersion


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def made(state: State, version: str = "1.36.1") -> Lab:
    room = lab(kubernetes={"source": "upstream", "version": version})
    built.record(state, room, everything(state), why="a test")
    return room


def test_the_age_of_the_image(state: State) -> None:
    (nothing,) = age.image(state, lab())
    assert (nothing.level, nothing.message) == (Level.OK, "not built yet, or not for this lab.yaml")
    room, now = made(state), time.time()
    for days, level, words in (
        (0, Level.OK, "today"),
        (1.5, Level.OK, "a day ago"),
        (29, Level.OK, "29 days ago"),
        (45, Level.WARNING, "45 days ago"),
        (-3, Level.OK, "today"),  # a clock that was wrong
    ):
        (found,) = age.image(state, room, now=now + days * 86400 + 60)
        assert found.level is level
        assert found.message.endswith(words)
    assert "--refresh" in age.image(state, room, now=now + 45 * 86400)[0].hint


@pytest.mark.parametrize("part", ["script", "grub"])
def test_machines_that_run_another_image(state: State, part: str) -> None:
    """By the scripts that they were served, as the server records them."""
    room = made(state)
    machine = room.machines[0]
    assert [one.level for one in age.image(state, room)] == [Level.OK]  # it never booted

    def boots() -> None:
        text = {"script": boot.machine_script, "grub": grub.machine_script}[part]
        with Database(state.lab("room").database) as database:
            facts = Facts("a CA", *built.facts(state, room))
            database.serve(machine.mac, {part: text(room, facts, machine, None), "ignition": "{}"})

    boots()
    assert [one.level for one in age.image(state, room)] == [Level.OK]
    built.record(state, room, everything(state, 2), why="newer")
    _, found = age.image(state, room)
    assert (found.level, found.message) == (Level.WARNING, "last booted another image than the built one: c1")
    assert "nodisk power cycle" in found.hint
    boots()
    assert len(age.image(state, room)) == 1
    rollback.go_back(state, room)
    assert age.behind(state, room, built.facts(state, room)[0].rootfs.sha256) == ["c1"]


def ask(state: State, room: Lab, wanted: str | None = None) -> tuple[Level, str, str]:
    context = LabContext(room, Path("lab.yaml"), state.lab("room"), None)
    (found,) = upgrade.upgrade(context, None if wanted is None else KubeVersion.parse(wanted))
    return found.level, found.message, found.hint


def test_an_upgrade_while_no_api_answers(state: State) -> None:
    assert ask(state, lab())[:2] == (Level.OK, "no cluster yet")
    made(state, "1.36.1")
    as_before = lab(kubernetes={"source": "upstream", "version": "1.36.1"})
    assert ask(state, as_before)[0] is Level.OK
    level, message, hint = ask(state, lab(kubernetes={"source": "upstream", "version": "1.37"}))
    assert (level, "the API doesn't answer" in message) == (Level.WARNING, True)
    assert hint == "run it again while the cluster is up"
    level, message, hint = ask(state, as_before, "1.34")
    assert (level, "can't go back" in message, "backup" in hint) == (Level.ERROR, True, True)


def test_lab_yaml_that_skips_a_minor(state: State) -> None:
    made(state, "1.36.1")
    level, message, hint = ask(state, lab(kubernetes={"source": "upstream", "version": "1.36"}), "1.40")
    assert (level, "skips 1.37, 1.38, 1.39" in message) == (Level.ERROR, True)
    assert hint == "go by 1.37 → 1.38 → 1.39 → 1.40, each until all nodes run it"


@pytest.mark.parametrize("version", ["soon", "1.99", "1.2"])
def test_a_release_that_is_none(version: str) -> None:
    done = CliRunner().invoke(nodisk, ["check", "--upgrade-to", version])
    assert (done.exit_code, "--upgrade-to" in done.output) == (2, True)
