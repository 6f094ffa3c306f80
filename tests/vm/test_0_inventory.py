"""An inventory boot: one machine of lab.yaml and one that it doesn't know are measured, and switch themselves off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own

from nodisk import waiting
from nodisk.machines.virtual import Virtual
from nodisk.records.database import Database
from nodisk.spec.load import load
from nodisk.values import Mac
from nodisk.waiting import Deadline

pytestmark = [pytest.mark.vm, pytest.mark.apart]

STRANGER = "52:54:00:93:00:16"
LAB = """\
name: vmtest-measure
network: {subnet: 10.93.0.0/24, server: 10.93.0.1}
kubernetes: {engine: none}
os: {kernel: cloud}
machines:
  - {name: p1, mac: "52:54:00:93:00:15", address: 10.93.0.21, memory: 1GiB}
"""
ANOTHER = f'  - {{name: p2, mac: "{STRANGER}", address: 10.93.0.22, memory: 1536MiB}}\n'


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path, LAB) as driver:
        yield driver


def test_machines_are_measured_and_switch_off(room: Driver, tmp_path: Path) -> None:
    began = time.time()
    room("machines", "inventory", "p1", STRANGER, "--memory-test", "2")
    room("lab", "up", "--detach", timeout=1500)
    room("disarm")  # an inventory needs no armed lab
    # The same lab with one machine more, which the server doesn't know: only to have QEMU run it.
    both = tmp_path / "both.yaml"
    both.write_text(LAB + ANOTHER)
    power = Virtual(load(both), both, room.context().state).power
    power.on(power.lab.machines[1])
    with Database(room.context().state.database) as database:

        def done() -> bool:
            off = all(power.pid(machine) is None for machine in power.lab.machines)
            return off and len(database.inventories.all()) == 2

        assert waiting.until(done, Deadline(BOOT_WITHIN), every=0.5), room.consoles(40)
        found = database.inventories.all()
        assert [database.host_keys(mac) for mac in found] == [(), ()]  # nobody enrolled
    for mac, mib in (("52:54:00:93:00:15", 1024), (STRANGER, 1536)):
        hardware = found[Mac.parse(mac)].hardware
        assert (hardware.memory_mib, hardware.firmware, hardware.secure_boot) == (mib, "BIOS", None)
        (nic,) = hardware.nics
        assert (nic.mac, nic.driver, nic.link) == (mac, "virtio_net", True)
        assert hardware.memory_test.passes >= 1
        assert hardware.memory_test.errors == 0
        assert hardware.memory_test.mib > 256
        assert hardware.link.mbps > 0
    shown = json.loads(room("machines", "show", STRANGER, "--output", "json").stdout)
    assert shown["measured"]["memory_mib"] == 1536
    assert "memory test" in room("machines", "show", "p1").stdout
    assert not [event for event in room.events("p1", began) if event["stage"] in {"kernel", "enrolled", "failed"}]
    room.file.write_text(LAB.replace("memory: 1GiB", "memory: 4GiB"))
    checked = room("check", "--output", "json", check=False).stdout
    assert "p1: lab.yaml says 4096 MiB, measured were 1024" in checked
