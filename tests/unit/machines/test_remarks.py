"""What is noted of PCs: broken ones of the lab, and machines that are nobody's."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from nodisk.cli import nodisk
from nodisk.context import LabContext
from nodisk.errors import NodiskError, UsageError
from nodisk.machines import asked, room, status, status_table
from nodisk.machines.room import Woken
from nodisk.records import remarks, running
from nodisk.records.database import Database
from nodisk.records.remarks import Kind
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.values import Mac
from nodisk.waiting import Deadline

W1, W2, PRINTER = (Mac.parse(f"52:54:00:98:00:{end}") for end in ("11", "12", "99"))
LAB = f"""\
name: wire
network: {{subnet: 10.98.0.0/24, server: 10.98.0.1}}
kubernetes: {{engine: none}}
machines:
- {{name: w1, mac: "{W1}", address: 10.98.0.11}}
- {{name: w2, mac: "{W2}", address: 10.98.0.12}}
"""


@dataclass
class Shell:
    """Commands in a lab of two machines, and a printer that asked for a boot script."""

    folder: Path

    def run(self, *words: str) -> str:
        found = [*words, "--lab", str(self.folder / "lab.yaml"), "--state", str(self.folder / "state")]
        done = CliRunner().invoke(nodisk, found, catch_exceptions=False, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--output", "json"))

    def listed(self, *words: str) -> list[str]:
        return [one["mac"] for one in self.json("machines", "list", *words)["machines"]]

    @property
    def context(self) -> LabContext:
        state = State(self.folder / "state").lab("wire")
        return LabContext(load(self.folder / "lab.yaml"), self.folder / "lab.yaml", state, None)

    def status(self) -> status.Status:
        return status.of_records(self.context, asked.Asked(asked.Api.NONE, {}, "no cluster"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "lab.yaml").write_text(LAB)
    found = Shell(tmp_path)
    with Database(found.context.state.database) as database:
        database.sightings.see(PRINTER)
    return found


def test_a_broken_pc_is_shown_as_such_until_it_is_mended(shell: Shell) -> None:
    assert shell.run("machines", "broken", "w2", "--note", " no\n picture ") == "w2 is broken: no picture\n"
    one, two = status.to_json(shell.status())["machines"]
    assert (one["broken"], two["broken"]["note"]) == (None, "no picture")
    assert "wire: 0 of 2 machines ready, 1 broken, server is stopped" in status_table.summary(shell.status())
    assert [row[-1] for row in status_table.table(shell.status())] == ["", "broken: no picture"]
    assert "no picture" in shell.run("machines", "list")
    assert "broken            no picture (since " in shell.run("machines", "show", "w2")
    assert shell.json("machines", "show", "w2")["broken"]["note"] == "no picture"
    assert shell.run("machines", "broken", "w2", "--mended") == "w2 is mended\n"
    assert shell.run("machines", "broken", "w2", "--mended") == "w2 was not marked as broken\n"
    assert status.to_json(shell.status())["machines"][1]["broken"] is None
    with Database(shell.context.state.database, reading=True) as database:
        assert [event.detail for event in database.events(mac=W2)] == ["broken: no picture", "mended"]


def test_several_at_once(shell: Shell) -> None:
    told = shell.json("machines", "broken", "w1", "w2", "--note", "no picture")
    assert told == {
        "machines": [{"machine": name, "broken": "no picture", "changed": True} for name in ("w1", "w2")],
        "dry_run": False,
    }
    one = shell.json("machines", "broken", "w1", "--mended")
    assert (one["machine"], one["broken"], one["changed"], len(one["machines"])) == ("w1", None, True, 1)
    assert shell.run("machines", "broken", "--all", "--mended").splitlines() == [
        "w1 was not marked as broken",
        "w2 is mended",
    ]


def test_the_note_is_of_the_pc_and_not_of_its_place(shell: Shell) -> None:
    shell.run("machines", "broken", "w2", "--note", "no picture")
    shell.run("machines", "swap", "w2", "52:54:00:98:00:13", "--force")
    with Database(shell.context.state.database, reading=True) as database:
        assert database.remarks.all(Kind.BROKEN) == {}


def test_the_room_does_not_wait_for_a_broken_machine(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.run("machines", "broken", "w2", "--note", "no picture")
    context = shell.context
    assert room.broken(context, ()) == {"w2": "no picture"}
    assert room.broken(context, ["w2"]) == {}, "it is up all the same"
    monkeypatch.setattr(running, "process", lambda _: 1)
    woken = Woken()
    woken.done.set()
    with Database(context.state.database) as database:
        rows = room.arrive(context, (), database, {}, woken, began=time.time(), deadline=Deadline(), seen=[])
    assert room.missing(rows, {}) == {}


@pytest.mark.parametrize("given", [[], ["--note", "x", "--mended"], ["--note", " \n"], ["--note", "x" * 201]])
def test_a_note_says_something(shell: Shell, given: list[str]) -> None:
    with pytest.raises(UsageError):
        shell.run("machines", "broken", "w1", *given)
    with pytest.raises(NodiskError, match="w9"):
        shell.run("machines", "broken", "w9", "--mended")


def test_what_is_nobodys_is_not_listed_counted_or_adopted(shell: Shell) -> None:
    assert shell.listed("--unknown") == [str(PRINTER)]
    assert shell.status().unknown == 1
    assert shell.run("machines", "ignore", str(PRINTER), "--dry-run") == f"would be ignored: {PRINTER}\n"
    assert shell.run("machines", "ignore", str(PRINTER)) == f"ignored: {PRINTER}\n"
    assert shell.run("machines", "ignore", str(PRINTER)) == f"{PRINTER} was ignored already\n"
    with Database(shell.context.state.database) as database:
        database.sightings.see(PRINTER)  # it goes on asking
    assert (shell.listed("--unknown"), shell.listed("--ignored")) == ([], [str(PRINTER)])
    assert shell.listed() == [str(W1), str(W2)]
    assert shell.status().unknown == 0
    assert "ignored           yes" in shell.run("machines", "show", str(PRINTER))
    with pytest.raises(NodiskError, match=r"no machine that is not in lab\.yaml"):
        shell.run("machines", "adopt", "--all")
    assert shell.json("machines", "ignore", str(PRINTER), "--undo")["changed"]
    assert shell.run("machines", "ignore", str(PRINTER), "--undo") == f"{PRINTER} was not ignored\n"
    assert shell.listed("--unknown") == [str(PRINTER)]
    with Database(shell.context.state.database, reading=True) as database:
        assert [event.detail for event in database.events(mac=PRINTER)] == ["ignored", "listed again"]


def test_an_ignored_machine_that_is_adopted_is_one_of_the_lab(shell: Shell) -> None:
    shell.run("machines", "ignore", str(PRINTER))
    shell.run("machines", "adopt", str(PRINTER), "w3")
    assert shell.listed() == [str(W1), str(W2), str(PRINTER)]


def test_only_a_machine_that_was_seen_and_is_not_the_labs_is_ignored(shell: Shell) -> None:
    with pytest.raises(UsageError, match=r"is w1 of lab\.yaml"):
        shell.run("machines", "ignore", str(W1))
    with pytest.raises(UsageError, match="was never seen"):
        shell.run("machines", "ignore", "52:54:00:98:00:98")


@given(st.text(max_size=300))
def test_a_note_is_one_printable_line(text: str) -> None:
    try:
        found = remarks.note(text)
    except ValueError:
        return
    assert found.isprintable()
    assert found == remarks.note(found)
    assert 0 < len(found) <= remarks.LONGEST
