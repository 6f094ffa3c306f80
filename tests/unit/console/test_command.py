"""``nodisk console`` and its commands."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from tests.unit.spec.labs import TEN_LINES

from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.state import State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    return tmp_path


def call(folder: Path, *words: str) -> Result:
    where = ["--lab", str(folder / "lab.yaml"), "--state", str(folder / "state")]
    return CliRunner().invoke(nodisk, ["console", *words, *where])


def database(folder: Path) -> Database:
    return Database(State(folder / "state").lab("room").database)


def code_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["code"][0]


def test_a_link_for_an_administrator(folder: Path) -> None:
    found = call(folder)
    assert found.exit_code == 0
    link = found.stdout.splitlines()[0]
    assert link.startswith("https://127.0.0.1:6445/sign-in?code=")
    with database(folder) as records:
        session = records.console.sign_in(code_of(link))
        assert session is not None
        assert (session[1].name, session[1].role) == ("root", "admin")
        # The code is nowhere in the records.
        told = [event.detail for event in records.events(kinds=(Kind.DAEMON,))]
    assert told == ["console: root (admin) was invited"]


def test_invite_list_and_revoke(folder: Path) -> None:
    (folder / "lab.yaml").write_text(TEN_LINES + "console: {listen: lab, port: 8443}\n")
    found = json.loads(call(folder, "invite", "Anna Nowak", "--role", "viewer", "--output", "json").stdout)
    assert found["link"].startswith("https://10.77.0.1:8443/sign-in?code=")
    assert (found["name"], found["role"], found["server"]) == ("Anna Nowak", "viewer", False)
    listed = json.loads(call(folder, "list", "--output", "json").stdout)["access"]
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [("Anna Nowak", "viewer", "invited")]
    with database(folder) as records:
        assert records.console.sign_in(code_of(found["link"])) is not None
    assert "signed in" in call(folder, "list").stdout
    assert json.loads(call(folder, "revoke", "Anna Nowak", "--output", "json").stdout)["revoked"] == 1
    assert json.loads(call(folder, "list", "--output", "json").stdout) == {"access": []}
    assert isinstance(call(folder, "revoke", "Anna Nowak").exception, UsageError)


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x1b[31m"])
def test_names_that_are_none(folder: Path, name: str) -> None:
    assert isinstance(call(folder, "invite", name).exception, UsageError)


@pytest.mark.parametrize("seconds", ["always", "32d", "0s"])
def test_a_link_ends(folder: Path, seconds: str) -> None:
    assert isinstance(call(folder, "invite", "anna", "--for", seconds).exception, UsageError)
