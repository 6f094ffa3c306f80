"""A machine with UEFI firmware alone: OVMF's own PXE client, our iPXE, and on to Linux.

By HTTP it becomes Ready in ``test_1_ready``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver, lab_of_its_own

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-uefi
network: {subnet: 10.79.0.0/24, server: 10.79.0.1}
os: {kernel: cloud}
virtual: {firmware: uefi}
machines:
  - {name: cp1, mac: "52:54:00:79:00:0b", address: 10.79.0.11, role: control-plane, memory: 2GiB}
"""


@pytest.fixture
def uefi(tmp_path: Path) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path, LAB) as driver:
        yield driver


def test_uefi_boots_by_pxe(uefi: Driver) -> None:
    began = time.time()
    uefi.up()
    uefi.await_event("cp1", ["os"], began)
    print(f"os after {time.time() - began:.0f} s")
    stages = uefi.status()["machines"]["cp1"]["stages"]
    assert list(stages)[:6] == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os"]
    assert "/snponly.efi to 10.79.0.11" in (uefi.context().state.log / "dnsmasq.log").read_text(errors="replace")
