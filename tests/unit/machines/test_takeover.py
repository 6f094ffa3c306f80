"""Having the running server take over an edited lab.yaml: every way in which that ends, without a server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk import files
from nodisk.assets import built
from nodisk.machines.takeover import Outcome, take_over
from nodisk.records import running
from nodisk.spec.load import parse
from nodisk.state import LabState, State

LAB = parse(TEN_LINES, file="lab.yaml")


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path).lab(str(LAB.name))


def test_no_server(state: LabState) -> None:
    assert take_over(state, LAB, within=0) is Outcome.STOPPED


def test_one_that_starts_is_waited_for_no_longer_than_said(state: LabState) -> None:
    with files.lock(state.run / running.LOCK, "the server"):
        assert take_over(state, LAB, within=0.1) is Outcome.ASKED


def test_one_that_serves_it_already(state: LabState) -> None:
    with files.lock(state.run / running.LOCK, "the server"):
        plan = built.fingerprint(state, LAB)
        running.announce(state, running.Ready(os.getpid(), 1.0, "10.77.0.1", plan, (), {}))
        assert take_over(state, LAB, within=0) is Outcome.RELOADED
