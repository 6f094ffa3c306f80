"""``nodisk lab bench --matrix``: every cell boots, and nothing of it is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.vm.driver import Driver

from nodisk.bench import matrix
from nodisk.state import DEFAULT_STATE, State

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmbench
network: {subnet: 10.79.0.0/24, server: 10.79.0.1}
kubernetes: {source: debian}
os: {kernel: cloud}
machines: [{name: cp1, mac: "52:54:00:79:00:0b", address: 10.79.0.11, role: control-plane}]
"""


def test_every_cell_boots(tmp_path: Path) -> None:
    vm = Driver(tmp_path / "lab.yaml")
    vm.file.write_text(LAB)
    state = State(DEFAULT_STATE)
    try:
        done = vm("lab", "bench", "--matrix", "--output", "json", timeout=3600)
        boots = json.loads(done.stdout)["boots"]
        print(json.dumps(boots, indent=1))
        assert [(one["dhcp"], one["firmware"]) for one in boots] == [
            (str(cell.dhcp), str(cell.firmware)) for cell in matrix.cells()
        ]
        assert all(one["os_seconds"] is not None for one in boots), done.stdout
        assert not list(state.labs.glob("vmbench-*")), "the temporary labs are gone"
    finally:
        vm("lab", "down", "--purge")
