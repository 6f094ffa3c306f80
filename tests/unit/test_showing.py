"""A command that shows writes nothing: the state directory is the same before and after, empty or in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.support import commands
from tests.unit.spec.labs import TEN_LINES

from nodisk.classes import record, sizes
from nodisk.cli import nodisk
from nodisk.pki.authority import Authority
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.load import load
from nodisk.state import State

SHOWS = {
    "check": ["--real"],
    "assets list": [],
    "assets verify": [],
    "assets prune": ["--dry-run"],
    "build": ["--dry-run", "--offline"],
    "rollback": ["--dry-run"],
    "hold": ["w1", "--dry-run"],
    "upgrade": ["--dry-run"],
    "render": ["w1"],
    "dhcp-snippet": ["kea"],
    "pki list": [],
    "pki rotate": ["--dry-run"],
    "lab up": ["--dry-run"],
    "lab down": ["--dry-run"],
    "lab status": [],
    "lab console": ["w1"],
    "lab power": ["--all", "on", "--dry-run"],
    "lab bench": ["--dry-run"],
    "machines list": [],
    "machines show": ["w1"],
    "machines adopt": ["02:00:00:00:00:99", "--dry-run"],
    "machines forget": ["w1", "--dry-run"],
    "machines rename": ["w1", "w9", "--dry-run"],
    "machines swap": ["w1", "02:00:00:00:00:99", "--dry-run"],
    "machines broken": ["w1", "--note", "no picture", "--dry-run"],
    "machines ignore": ["02:00:00:00:00:99", "--undo", "--dry-run"],
    "machines drain": ["w1", "--dry-run"],
    "machines inventory": ["w1", "--dry-run"],
    "power wake": ["--all", "--dry-run"],
    "power on": ["--all", "--dry-run"],
    "power off": ["--role", "worker", "--drain", "--dry-run"],
    "power cycle": ["w1", "--dry-run"],
    "power status": ["--all"],
    "room on": ["--dry-run"],
    "room off": ["--dry-run"],
    "timetable": ["--week"],
    "menu show": [],
    "next-boot": ["w1", "disk", "--once", "--dry-run"],
    "status": [],
    "console list": [],
    "events": [],
    "kubeconfig": [],
    "kubectl": ["get", "nodes"],
    "ssh": ["w1", "true"],
    "inventory": ["--list"],
    "class list": [],
    "class show": ["k8s"],
    "class storage": [],
    "class create": ["k8s", "--students", "Jan Kowalski", "--dry-run"],
    "class tell": ["k8s", "Hand in by noon.", "--dry-run"],
    "class codes": ["k8s", "--dry-run"],
    "class add": ["k8s", "--students", "Jan Kowalski", "--dry-run"],
    "backup list": ["--to", "/nonexistent/backups"],
    "addons list": [],
    "addons show": ["web"],
    "addons diff": [],
    "addons apply": ["--dry-run"],
    "addons mirror": ["--dry-run"],
    "addons remove": ["web", "--dry-run"],
    "verify": ["--list"],
    "conformance": ["--suite", "/nonexistent", "--dry-run"],
    "bench": ["--list"],
}
"""Command → words with which it only shows. In a lab that never ran some of them end with an error: also that writes
nothing."""

ACTS = {
    "init",
    "serve",
    "service install",
    "service remove",
    "arm",
    "disarm",
    "console",
    "console invite",
    "console revoke",
    "console token",
    "power login",
    "menu password",
    "lab ssh",  # the same as ssh
    "students",
    "student-tokens",
    *(f"class {verb}" for verb in ("delete", "export", "extend", "remove", "reset", "resume", "rotate", "suspend")),
    "backup create",
    "backup prune",
    "backup restore",
    "backup verify",
    "bench compare",  # reads two files that it is given
    "butane",
}


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder with its mode, time and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted((folder, *folder.rglob("*")))
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(TEN_LINES)
    return tmp_path


@pytest.fixture
def used(folder: Path) -> Iterator[Path]:
    """A lab with a PKI and records, which a server just now writes."""
    lab, state = load(folder / "lab.yaml"), State(folder / "state").lab("room")
    Authority(state, lab).ensure()
    now = record.now()
    record.save(
        state,
        record.Class(
            name="k8s",
            prefix="k8s-",
            size_name="small",
            size=sizes.named()["small"],
            role="edit",
            created=now,
            expires=now,
        ),
    )
    with Database(state.database) as database:
        database.record(Kind.DAEMON, "a test", source="nodisk", machine="w1")
        yield folder


def call(folder: Path, command: str) -> str:
    state = ["--state", str(folder / "state")]
    where = state if command.startswith("assets") else ["--lab", str(folder / "lab.yaml"), *state]
    done = commands.call([*command.split(), *where, *SHOWS[command]], timeout=100)
    assert "Traceback" not in done.stderr
    assert "Try 'nodisk" not in done.stderr, "the words are those of the command"
    return done.stdout


@pytest.mark.parametrize("command", SHOWS)
def test_a_lab_that_never_ran(folder: Path, command: str) -> None:
    before = tree(folder)
    call(folder, command)
    if command == "check":  # it measured the disk, which leaves the folder's time
        assert list(tree(folder)) == list(before)
    else:
        assert tree(folder) == before


@pytest.mark.parametrize("command", [name for name in SHOWS if name not in ("check", "verify", "bench", "kubectl")])
def test_a_lab_in_use(used: Path, command: str) -> None:
    before = tree(used)
    call(used, command)
    # SQLite's index of the log holds its readers' marks while somebody writes.
    assert {k: v for k, v in tree(used).items() if not k.endswith("-shm")} == {
        k: v for k, v in before.items() if not k.endswith("-shm")
    }


def leaves(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield name
        context = click.Context(command)
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            assert inner is not None
            yield from leaves(inner, f"{name} {word}".strip())
    else:
        yield name


def test_every_command_either_shows_or_acts() -> None:
    assert set(leaves(nodisk, "")) == SHOWS.keys() | ACTS
