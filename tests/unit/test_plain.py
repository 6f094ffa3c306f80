"""``kubernetes: {engine: none}``: what such a lab may say, and which commands it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk.cli import nodisk
from nodisk.commands.switching import drained
from nodisk.context import LabContext
from nodisk.errors import NoCluster, SpecError
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.values import Stage

PLAIN = TEN_LINES.replace("    role: control-plane\n", "") + "kubernetes: {engine: none}\n"


def test_it_needs_no_control_plane() -> None:
    assert not parse(PLAIN, file="x").has_cluster
    assert parse(TEN_LINES, file="x").has_cluster


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("engine: none", "engine: none, version: 1.36.1", "`version` has no effect"),
        ("engine: none", "engine: none, source: path", "`source` has no effect"),
        ("engine: none", "engine: none, pods: 10.0.0.0/16", "`pods` has no effect"),
        ("- name: w1", "- labels: {a: b}\n    name: w1", "`labels` has no effect"),
        ("engine: none", "engine: None", "none"),
        ("engine: none", "engine: k3s", "kubeadm"),
    ],
)
def test_what_only_a_cluster_has_is_refused(old: str, new: str, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        parse(PLAIN.replace(old, new), file="x")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "lab.yaml").write_text(PLAIN)
    return ["--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]


@pytest.mark.parametrize(
    "command",
    [
        ["kubectl"],
        ["kubeconfig"],
        ["class", "list"],
        ["class", "create", "--students", "anna", "first"],
        ["verify"],
        ["bench"],
        ["students", "anna", "get"],
        ["student-tokens", "anna"],
        ["check", "--upgrade-to", "1.36.1"],
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_commands_of_a_cluster_say_that_there_is_none(command: list[str], words: list[str]) -> None:
    with pytest.raises(NoCluster, match="lab room has no cluster") as caught:
        CliRunner().invoke(nodisk, [*command[:1], *_first(command), *words, *_rest(command)], catch_exceptions=False)
    assert caught.value.exit_code == 8
    assert "nodisk ssh NAME" in (caught.value.hint or "")


def _first(command: list[str]) -> list[str]:
    return command[1:2] if command[0] == "class" else []


def _rest(command: list[str]) -> list[str]:
    return command[2:] if command[0] == "class" else command[1:]


def test_no_pod_is_moved_where_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = parse(PLAIN, file="x")
    context = LabContext(lab, tmp_path / "lab.yaml", State(tmp_path).lab("room"), None)
    with drained(context, lab.machines):
        pass
    assert capsys.readouterr() == ("", "")


def test_status_asks_no_api(words: list[str], tmp_path: Path) -> None:
    lab = parse(PLAIN, file="x")
    with Database(State(tmp_path / "state").lab("room").database) as database:
        for stage in (Stage.ENROLLED, Stage.READY):
            database.record(Kind.STAGE, "", source="x", mac=lab.machines[0].mac, machine="cp1", stage=stage)
    done = CliRunner().invoke(nodisk, ["status", *words, "--output", "json"], catch_exceptions=False)
    told = json.loads(done.output)
    assert (told["api"], told["api_problem"], told["isolation"]) == ("none", None, None)
    assert (told["machines"][0]["stage"], told["machines"][0]["node"]) == ("ready", "none")
    assert told["machines"][0]["certificates_expire"] is None
    shown = CliRunner().invoke(nodisk, ["status", *words], catch_exceptions=False).output
    assert "1 of 2 machines ready" in shown
    assert "no cluster" in shown
