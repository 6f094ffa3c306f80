"""Machines with UEFI firmware: OVMF's own PXE client or its HTTP client, our iPXE, and on to Linux."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver

pytestmark = pytest.mark.vm

LAB = """\
name: vmtest-uefi
network: {subnet: 10.79.0.0/24, server: 10.79.0.1}
os: {kernel: cloud}
virtual: {firmware: uefi}
machines:
  - {name: cp1, mac: "52:54:00:79:00:0b", address: 10.79.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:79:00:15", address: 10.79.0.21, memory: 1GiB, firmware: uefi-http}
"""


@pytest.fixture
def uefi(tmp_path: Path) -> Iterator[Driver]:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    driver = Driver(file)
    driver("lab", "down", "--purge")
    yield driver
    driver("lab", "down", "--purge")


def test_uefi_boots_over_the_network(uefi: Driver) -> None:
    """cp1 by PXE, w1 by HTTP, in one lab: what costs is that something boots, not that two things do."""
    began = time.time()
    uefi.up()
    for name in ("cp1", "w1"):
        uefi.await_event(name, ["os"], began)
        print(f"{name}: os after {time.time() - began:.0f} s")
        stages = uefi.status()["machines"][name]["stages"]
        assert list(stages)[:6] == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os"]
        uefi("lab", "power", name, "cut")
    log = uefi.context().state.log
    sent = (log / "dnsmasq.log").read_text(errors="replace")
    assert "/snponly.efi to 10.79.0.11" in sent
    assert "/snponly.efi to 10.79.0.21" not in sent, "w1 got nothing by TFTP"
    fetched = [line for line in (log / "nginx.log").read_text(errors="replace").splitlines() if "/snponly.efi" in line]
    assert fetched
    assert all('"address":"10.79.0.21","method":' in line for line in fetched), fetched
