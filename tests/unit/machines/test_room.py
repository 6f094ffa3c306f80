"""The armed window of a room's arrival."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk.context import LabContext
from nodisk.machines import room
from nodisk.records.database import Database
from nodisk.spec.load import parse
from nodisk.state import State


@pytest.fixture
def context(tmp_path: Path) -> LabContext:
    lab = parse(TEN_LINES, file="lab.yaml")
    return LabContext(lab, tmp_path / "lab.yaml", State(tmp_path / "state").lab("room"), None)


def test_it_closes_however_the_arrival_ends(context: LabContext) -> None:
    def interrupted() -> None:
        with room.armed(context, 60) as database:
            assert database.armed()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with Database(context.state.database) as database:
        assert not database.armed()


def test_one_that_another_command_has_opened_meanwhile_stays_open(context: LabContext) -> None:
    with room.armed(context, 60), room.armed(context, 90) as database:
        pass
    with Database(context.state.database) as database:
        assert not database.armed(), "the last one closes its own"
    until = time.time() + 600
    with room.armed(context, 60), Database(context.state.database) as another:
        another.arm(until)
    with Database(context.state.database) as database:
        assert database.armed_until() == until
