"""What asks first does nothing if the answer is no."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from tests.unit.spec.labs import TEN_LINES

from nodisk.commands.classes import class_
from nodisk.errors import UsageError


def test_no_changes_nothing_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES)
    words = ["storage", "--remove", "k8s-jan-1", "--lab", str(file), "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(class_, words, input="n\n", standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "cancelled; nothing was changed"
