"""How emulated machines share the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk.machines import power, qemu
from nodisk.machines.power import Power
from nodisk.spec.load import parse
from nodisk.spec.model import Machine
from nodisk.state import State
from nodisk.values import Role

LAB = parse(TEN_LINES, file="lab.yaml")


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """A process in place of each machine's QEMU: name → pid."""
    children = {str(machine.name): subprocess.Popen(["sleep", "600"]) for machine in LAB.machines}

    def pid(_: Power, machine: Machine) -> int:
        return children[str(machine.name)].pid

    monkeypatch.setattr(Power, "pid", pid)
    yield {name: child.pid for name, child in children.items()}
    for child in children.values():
        child.kill()
        child.wait()


@pytest.mark.parametrize("accelerator", qemu.Accelerator)
def test_emulated_workers_stand_back_for_the_control_plane(
    running: dict[str, int], accelerator: qemu.Accelerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "accelerator", lambda: accelerator)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    Power(LAB, State(tmp_path).lab("room")).stand_back()
    for machine in LAB.machines:
        behind = machine.role is Role.WORKER and accelerator.emulates
        found = os.getpriority(os.PRIO_PROCESS, running[str(machine.name)])
        assert found == (power.NICE if behind else own), machine.name
