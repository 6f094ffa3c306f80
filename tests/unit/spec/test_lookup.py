"""A machine that isn't there: one message and one exit code, whichever command was asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.spec.load import load, parse
from nodisk.spec.lookup import machine_named

HEAD = "name: room\nnetwork: {subnet: 10.77.0.0/16, server: 10.77.0.1}\nmachines:\n"
MANY = HEAD + "".join(
    f"  - {{name: pc-{n}, mac: '52:54:00:77:00:{n:02x}', address: 10.77.1.{n}{', role: control-plane' * (n == 1)}}}\n"
    for n in range(1, 31)
)


def test_the_machine_of_that_name() -> None:
    lab = parse(MANY, file="lab.yaml")
    assert machine_named(lab, "pc-7") is lab.machines[6]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PC-7", "did you mean pc-7"),
        ("pc7", "did you mean pc-7"),
        ("server", "it has pc-1, pc-2, pc-3"),
        ("", "pc-12 and 18 more"),
    ],
)
def test_the_hint_has_names_that_are_like_it(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        machine_named(parse(MANY, file="lab.yaml"), name)
    assert caught.value.message == f"the lab room has no machine {name!r}"
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "words",
    [
        ["render", "w9"],
        ["events", "--machine", "w9"],
        ["ssh", "w9"],
        ["lab", "console", "w9"],
        ["lab", "power", "w9", "off"],
        ["power", "wake", "w9"],
    ],
)
def test_every_command_says_the_same(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES)
    assert load(file).machine("w9") is None
    options = ["--lab", str(file), "--state", str(tmp_path / "state")]
    depth = 2 if words[:2] in (["lab", "console"], ["lab", "power"], ["power", "wake"]) else 1
    done = CliRunner().invoke(nodisk, [*words[:depth], *options, *words[depth:]])
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "the lab room has no machine 'w9'"
    assert "did you mean w1" in str(done.exception.hint)
