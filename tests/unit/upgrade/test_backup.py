"""A backup has which machines are held, and how far an upgrade is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.assets.test_holds import some_build
from tests.unit.spec.labs import TEN_LINES

from nodisk.assets.holds import Holds
from nodisk.backup import create
from nodisk.context import LabContext
from nodisk.spec.load import load
from nodisk.state import State
from nodisk.upgrade import journal
from nodisk.upgrade.journal import Journal
from nodisk.values import Mac


@pytest.mark.parametrize("way", [False, True])
def test_both_are_in_it(tmp_path: Path, way: bool) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES)
    lab, state, target = load(file), State(tmp_path / "state").lab("room"), tmp_path / "backup"
    journal.write(state, Journal("1", (("w1",),), {"w1": "0"}, back=way))
    state.holds.write_text(Holds().hold({Mac(2): some_build(1)}).to_text())
    target.mkdir()
    manifest = create.gather(LabContext(lab, file, state, None), target, with_assets=False, source=None)
    for path in (state.upgrade, state.holds):
        assert f"state/{path.name}" in manifest.files
        assert (target / "state" / path.name).read_bytes() == path.read_bytes()
