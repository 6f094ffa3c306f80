"""``nodisk console`` and its commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from tests.support.waits import LONG
from tests.unit.spec.labs import TEN_LINES

from nodisk import files
from nodisk.cli import nodisk
from nodisk.commands import opening
from nodisk.errors import UsageError
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.state import State
from nodisk.waiting import Deadline, until


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


@dataclass
class Desk:
    """A graphical session with a browser that writes down what it is to open."""

    folder: Path
    opened: Path

    def call(
        self, *words: str, terminal: bool = True, expected: bool = True, session: Mapping[str, str]
    ) -> tuple[str, str]:
        """What ``nodisk console`` printed, and what the browser was given."""
        self.opened.unlink(missing_ok=True)
        where = ["--lab", str(self.folder / "lab.yaml"), "--state", str(self.folder / "state")]
        others = ("SSH_", "SUDO_", "WAYLAND", "DISPLAY")
        known = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        known["PATH"] = f"{self.folder}:{known['PATH']}"
        reading, writing = os.openpty() if terminal else os.pipe()
        words = (sys.executable, "-m", "nodisk", "console", *words, *where)
        subprocess.run(
            words, env=known | dict(session), stdout=writing, stderr=subprocess.DEVNULL, check=True, timeout=LONG
        )
        os.close(writing)
        printed = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while found := os.read(reading, 4096):
                printed += found
        os.close(reading)
        if expected and (self.folder / "state/labs/room/run/sign-in.html").exists():
            assert until(lambda: self.opened.exists() and self.opened.read_text(), Deadline(LONG), every=0.02)
        return printed.decode().replace("\r", ""), self.opened.read_text() if self.opened.exists() else ""


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    """Somebody sits at the server, which runs."""
    found = Desk(folder, folder / "opened")
    browser = folder / opening.OPENER
    browser.write_text(f'#!/bin/sh\nprintf %s "$*" > {found.opened}\n')
    browser.chmod(0o755)
    state = State(folder / "state").lab("room")
    state.run.mkdir(parents=True)
    with files.lock(state.run / running.LOCK, "a server"):
        running.announce(state, running.Ready(os.getpid(), 1.0, "10.77.0.1", "x", (), {}))
        yield found


def test_who_sits_at_the_server_gets_the_page(desk: Desk) -> None:
    """By a page of that user's alone: no list of processes shows the code."""
    for session in ({"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}):
        printed, opened = desk.call(session=session)
        link = printed.splitlines()[0]
        page = desk.folder / "state" / "labs" / "room" / "run" / "sign-in.html"
        assert opened == page.as_uri()
        assert code_of(link) not in opened
        assert page.stat().st_mode & 0o777 == 0o600
        assert f'content="0; url={link}"' in page.read_text()


@pytest.mark.parametrize(
    ("words", "session"),
    [
        ((), {}),
        ((), {"DISPLAY": ""}),
        (("--no-open",), {"DISPLAY": ":0"}),
        (("--output", "json"), {"DISPLAY": ":0"}),
        (("invite", "Anna"), {"DISPLAY": ":0"}),
    ],
)
def test_where_nothing_is_opened(desk: Desk, words: tuple[str, ...], session: dict[str, str]) -> None:
    printed, opened = desk.call(*words, session=session)
    assert "/sign-in?code=" in printed
    assert opened == ""


def test_root_over_ssh_or_by_sudo_has_no_session() -> None:
    for name in ("SSH_CONNECTION", "SSH_TTY", "SUDO_UID"):
        environment = {"DISPLAY": "localhost:10.0", name: "x"}
        assert not opening.sits_here(environment, root=True)
        assert opening.sits_here(environment, root=False)
    assert opening.sits_here({"DISPLAY": ":0"}, root=True)
    assert not opening.sits_here({}, root=False)


def test_a_pipe_that_reads_the_link_opens_nothing(desk: Desk) -> None:
    printed, opened = desk.call(terminal=False, session={"DISPLAY": ":0"})
    assert "/sign-in?code=" in printed
    assert opened == ""


@pytest.mark.parametrize("text", ["", "#!/nothing/there\n", "#!/bin/sh\nexit 3\n"])
def test_a_browser_that_fails_is_nothing_wrong(desk: Desk, text: str) -> None:
    (desk.folder / opening.OPENER).write_text(text)
    printed, _ = desk.call(session={"DISPLAY": ":0"}, expected=False)
    assert "/sign-in?code=" in printed


def test_without_a_server_nothing_is_opened(folder: Path) -> None:
    assert call(folder).exit_code == 0
    assert not (State(folder / "state").lab("room").run / "sign-in.html").exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x1b[31m"])
def test_names_that_are_none(folder: Path, name: str) -> None:
    assert isinstance(call(folder, "invite", name).exception, UsageError)


@pytest.mark.parametrize("seconds", ["always", "32d", "0s"])
def test_a_link_ends(folder: Path, seconds: str) -> None:
    assert isinstance(call(folder, "invite", "anna", "--for", seconds).exception, UsageError)
