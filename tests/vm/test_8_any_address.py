"""A room whose own DHCP server, a Kea, knows no reservations: a machine boots with lab.yaml's address all the same.

Kea is in a namespace of its own on the lab's segment and gives addresses of a pool; nodisk's dnsmasq is beside it
(proxyDHCP).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.interop.server import room_servers
from tests.vm.driver import Driver

from nodisk import run
from nodisk.machines.segment import Segment
from nodisk.records.virtual_lab import BRIDGE

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-pool
network: {{subnet: 10.99.0.0/24, server: 10.99.0.1, dhcp: proxy}}
os: {{kernel: cloud}}
virtual: {{firmware: {firmware}}}
machines:
  - {{name: cp1, mac: "52:54:00:80:00:0b", address: 10.99.0.11, role: control-plane, memory: 2GiB}}
"""
KEA = "nodisk-test-vm-kea"


@contextmanager
def kea(segment: Segment, folder: Path) -> Iterator[None]:
    """A Kea on the segment that gives addresses of its pool to anybody, and says nothing of booting."""
    segment.up()
    run.run(["ip", "netns", "delete", KEA], check=False)
    run.run(["ip", "netns", "add", KEA])
    try:
        port = ["link", "add", "kea", "type", "veth", "peer", "name", "eth0", "netns", KEA]
        run.run(["ip", "-n", segment.netns, *port])
        run.run(["ip", "-n", segment.netns, "link", "set", "kea", "master", BRIDGE, "up"])
        run.run(["ip", "-n", KEA, "link", "set", "lo", "up"])
        run.run(["ip", "-n", KEA, "link", "set", "eth0", "up"])
        run.run(["ip", "-n", KEA, "address", "add", f"{room_servers.ADDRESS}/24", "dev", "eth0"])
        with room_servers.serving(KEA, room_servers.kea(folder, ""), folder):
            yield
    finally:
        run.run(["ip", "netns", "delete", KEA], check=False)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_machine_with_an_address_of_keas_pool_becomes_itself(firmware: str, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB.format(firmware=firmware))
    driver = Driver(file)
    driver("lab", "down", "--purge")
    try:
        with kea(Segment.of(driver.context().lab), tmp_path):
            began = time.time()
            driver("lab", "up", "--detach", timeout=1500)
            driver.await_event("cp1", ["os"], began)
            said = driver.await_event("cp1", ["ipxe"], began)
            given = re.fullmatch(r"the room's DHCP server gave it 10\.99\.0\.(\d+)", said)
            assert given is not None, said
            assert 150 <= int(given[1]) <= 199, "not of Kea's pool"
            # The nonce was minted for lab.yaml's address, and that is the one the machine has.
            driver.await_event("cp1", ["enrolled"], began)
            stages = list(driver.status()["machines"]["cp1"]["stages"])
            assert stages[:7] == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os", "enrolled"]
            alarms = [event for event in driver.events("cp1", began) if event["kind"] == "alarm"]
            assert alarms == []
    finally:
        driver("lab", "down", "--purge")
