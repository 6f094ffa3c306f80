"""``nodisk pki rotate`` asks first."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk.errors import UsageError
from nodisk.pki.authority import Authority
from nodisk.pki.commands import rotate
from nodisk.spec.load import load
from nodisk.state import State


def test_no_changes_nothing_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES)
    lab = load(file)
    state = State(tmp_path / "state").lab(str(lab.name))
    Authority(state, lab).ensure()
    before = (state.pki / "ca.key").read_bytes()
    words = ["--lab", str(file), "--state", str(state.state.root)]
    done = CliRunner().invoke(rotate, words, input="n\n", standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "nothing was changed"
    assert (state.pki / "ca.key").read_bytes() == before
