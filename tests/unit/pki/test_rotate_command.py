"""``nodisk pki rotate`` asks first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk.commands.pki import rotate
from nodisk.errors import UsageError
from nodisk.pki.authority import Authority
from nodisk.spec.load import load
from nodisk.state import LabState, State


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES)
    lab = load(file)
    state = State(tmp_path / "state").lab(str(lab.name))
    Authority(state, lab).ensure()
    return state


@pytest.fixture
def words(state: LabState, tmp_path: Path) -> list[str]:
    return ["--lab", str(tmp_path / "lab.yaml"), "--state", str(state.state.root)]


def test_no_changes_nothing_and_says_so(state: LabState, words: list[str]) -> None:
    before = (state.pki / "ca.key").read_bytes()
    done = CliRunner().invoke(rotate, words, input="n\n", standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "cancelled; nothing was changed"
    assert (state.pki / "ca.key").read_bytes() == before


def test_a_question_that_nobody_answers_is_no_interruption(words: list[str]) -> None:
    argv = [str(Path(sys.executable).parent / "nodisk"), "pki", "rotate", *words]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(
        "error: confirmation needed, but stdin is closed\nhint: pass --yes to confirm without a prompt\n"
    )
