"""``nodisk menu`` and ``nodisk next-boot``: what they print, write and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.spec.labs import TEN_LINES

from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.state import State
from nodisk.values import Mac

MENU = "menu: {timeout: 5, entries: [{name: rescue, url: http://10.77.0.9/x, password: true}]}\n"
W1 = Mac.parse("52:54:00:00:00:02")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "lab.yaml").write_text(TEN_LINES + MENU)

    def call(*words: str, **how: Any) -> Result:
        options = ["--lab", str(tmp_path / "lab.yaml"), "--state", str(tmp_path / "state")]
        return CliRunner().invoke(nodisk, [*words, *options], **how)

    return call


def test_what_is_shown(run: Run, tmp_path: Path) -> None:
    run("next-boot", "w1", "disk", "--once")
    shown = json.loads(run("menu", "show", "--output", "json").stdout)
    assert [(one["machine"], one["default"], one["timeout"]) for one in shown["machines"]] == [
        ("cp1", "lab", 5),
        ("w1", "lab", 5),
    ]
    assert shown["machines"][0]["next_boot"] is None
    assert {key: shown["machines"][1]["next_boot"][key] for key in ("entry", "once", "served")} == {
        "entry": "disk",
        "once": True,
        "served": None,
    }
    assert [one["name"] for one in shown["entries"] if one["asks_for_password"]] == ["rescue", "shell"]
    assert shown["password_set"] is False
    assert "nodisk menu password" in run("menu", "show").stdout
    with Database(State(tmp_path / "state").lab("room").database) as database:
        assert [event.detail for event in database.events()] == ["next boot: disk, once"]
        assert list(database.next_boots.all()) == [W1]


def test_for_some_and_for_all(run: Run, tmp_path: Path) -> None:
    shown = json.loads(run("next-boot", "w1", "cp1", "disk", "--output", "json").stdout)
    assert [(one["machine"], one["next_boot"]["entry"]) for one in shown["machines"]] == [
        ("w1", "disk"),
        ("cp1", "disk"),
    ]
    assert run("next-boot", "--all", "disk", "--once", "--dry-run").stdout.count("disk, once") == 2
    assert run("next-boot", "w1", "cp1", "--clear").stdout.count("its default") == 2
    run("next-boot", "--all", "disk", "--once")
    with Database(State(tmp_path / "state").lab("room").database, reading=True) as database:
        assert {wish.once for wish in database.next_boots.all().values()} == {True}
    assert run("next-boot", "--all").stdout.count("disk, once") == 2
    assert run("next-boot", "--all", "--clear").stdout.count("its default") == 2


def test_the_password_is_kept_and_forgotten(run: Run, tmp_path: Path) -> None:
    assert run("menu", "password", input="correct horse\n").exit_code == 0
    file = State(tmp_path / "state").lab("room").menu_password
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(run("menu", "show", "--output", "json").stdout)["password_set"] is True
    assert run("menu", "password", "--forget").stdout == "forgotten\n"
    assert run("menu", "password", "--forget").stdout == "there was none\n"
    assert isinstance(run("menu", "password", input="short\n").exception, UsageError)
    with Database(State(tmp_path / "state").lab("room").database, reading=True) as database:
        told = [event.detail for event in database.events()]
    assert told == ["the menu's password was set", "the menu's password was forgotten"]


def test_an_entry_that_lab_yaml_lost_is_shown_as_such(run: Run, tmp_path: Path) -> None:
    with Database(State(tmp_path / "state").lab("room").database) as database:
        database.next_boots.set(W1, "windows", once=False)
    assert "windows, until cleared; the menu has no such entry any more" in run("next-boot", "w1").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--once",),
        ("--clear",),
        ("w1", "--once"),
        ("w1", "disk", "--clear"),
        ("w1", "shell"),
        ("w1", "rescue"),
        ("w1", "menu"),
        ("w1", "nothing"),
        ("w9", "disk"),
        ("w1", "w9", "disk"),
        ("w1", "cp1"),
        ("w1", "cp1", "disk", "--clear"),
        ("--all", "w1", "disk"),
        ("--all", "w1", "--clear"),
        ("--all", "disk", "--clear"),
        ("--all", "--once"),
    ],
)
def test_what_is_refused(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run("next-boot", *words)
    assert isinstance(done.exception, UsageError), done.output
    assert not State(tmp_path / "state").lab("room").database.exists()
