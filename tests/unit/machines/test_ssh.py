"""ssh's arguments for a machine of the lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk.context import LabContext
from nodisk.machines import ssh
from nodisk.records import virtual_lab
from nodisk.records.database import Database
from nodisk.spec.load import parse
from nodisk.state import State


@pytest.mark.parametrize(("emulated", "patience"), [(False, ssh.PATIENCE), (True, ssh.EMULATED_PATIENCE)])
def test_an_emulated_machine_has_longer_for_its_first_word(tmp_path: Path, *, emulated: bool, patience: int) -> None:
    lab = parse(TEN_LINES, file="lab.yaml").model_copy(update={"ssh_keys": ("ssh-ed25519 AAAA",)})
    context = LabContext(lab, tmp_path / "lab.yaml", State(tmp_path / "state").lab("room"), None)
    machine = lab.machines[0]
    with Database(context.state.database) as database:
        database.enrolled(machine.mac, 2000.0, ["ssh-ed25519 AAAA"])
    virtual_lab.note_emulated(context.state, yes=emulated)
    words = ssh.arguments(context, str(machine.name), ("hostname",))
    assert f"ConnectTimeout={patience}" in words
    assert words[-2:] == [str(machine.address), "hostname"]
