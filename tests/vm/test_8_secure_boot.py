"""Secure Boot on, with the keys that PCs come with: what Debian signed boots, and what nobody signed does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver

pytestmark = pytest.mark.vm

LAB = """\
name: vmtest-secure
network: {{subnet: 10.80.0.0/24, server: 10.80.0.1}}
os: {{kernel: cloud}}
secure_boot: {signed}
virtual: {{firmware: secure-boot}}
machines:
  - {{name: cp1, mac: "52:54:00:80:00:0b", address: 10.80.0.11, role: control-plane, memory: 2GiB}}
"""


@pytest.fixture
def lab_up(tmp_path: Path) -> Iterator[Callable[[str], Driver]]:
    """Begin to boot the lab with ``secure_boot`` as it is given."""
    file = tmp_path / "lab.yaml"
    driver = Driver(file)

    def up(signed: str) -> Driver:
        file.write_text(LAB.format(signed=signed))
        driver("lab", "down", "--purge")
        driver("lab", "up", "--detach", timeout=1500)
        return driver

    try:
        yield up
    finally:
        driver("lab", "down", "--purge")


def test_what_nobody_signed_is_refused(lab_up: Callable[[str], Driver]) -> None:
    """iPXE comes whole, and the firmware itself says why it does not run it."""
    lab = lab_up("false")
    served = lab.context().state.log / "dnsmasq.log"
    lab.wait(lambda: "Access Denied" in lab.console("cp1"), "the firmware refuses iPXE", seconds=300)
    assert "/snponly.efi to 10.80.0.11" in served.read_text(errors="replace")
    assert list(lab.status()["machines"]["cp1"]["stages"]) == ["dhcp"], "no boot script was asked for"


def test_a_machine_with_secure_boot_becomes_ready(lab_up: Callable[[str], Driver]) -> None:
    """The chain as the machine tells it, and a kernel whose lockdown leaves a node what it needs."""
    began = time.time()
    lab = lab_up("true")
    assert lab.await_event("cp1", ["ipxe"], began) == "by GRUB"
    lab.await_ready("cp1")
    stages = list(lab.status()["machines"]["cp1"]["stages"])
    assert stages == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os", "enrolled", "joined", "ready"]
    told = lab("ssh", "cp1", "cat /sys/kernel/security/lockdown /proc/cmdline").stdout
    assert "[integrity]" in told, "the kernel itself saw that Secure Boot is on"
    assert "BOOT_IMAGE=(http,10.80.0.1)/assets/" in told
