"""Secure Boot on, with the keys that PCs come with: what nobody signed does not boot, nor what has been revoked.

What Debian signed becomes Ready in ``test_1_ready``, loaded by PXE; here it is loaded by HTTP.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import uefi_variables
from tests.vm.driver import Driver, lab_of_its_own
from tests.vm.machines import Machines, booting, tell

from nodisk.machines import qemu
from nodisk.values import Stage

pytestmark = pytest.mark.vm

LAB = """\
name: vmtest-secure
network: {subnet: 10.80.0.0/24, server: 10.80.0.1}
os: {kernel: cloud}
secure_boot: false
virtual: {firmware: secure-boot}
machines:
  - {name: cp1, mac: "52:54:00:80:00:0b", address: 10.80.0.11, role: control-plane, memory: 2GiB}
"""
SIGNED = LAB.replace("secure_boot: false", "secure_boot: true")
SHIM = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
"""Shim's own variables (its guid.c, SHIM_LOCK_GUID)."""
LEVEL = "SbatLevel"
"""What a program must have at least, kept by the shim that knows the newest list (shim's SBAT.md)."""
FUTURE = b"sbat,1,2099010100\nshim,99\n"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Callable[[str], Driver]]:
    """A lab by its lab.yaml, built and served, its machine off."""
    with lab_of_its_own(tmp_path, LAB) as driver:

        def made(text: str) -> Driver:
            driver.file.write_text(text)
            driver("build", timeout=1800)
            driver.start_server()
            return driver

        yield made


def test_what_nobody_signed_is_refused(scene: Callable[[str], Driver]) -> None:
    """iPXE comes whole, and the firmware itself says why it does not run it."""
    driver = scene(LAB)
    driver.up()
    driver.wait(lambda: "Access Denied" in driver.console("cp1"), "the firmware refuses iPXE")
    served = driver.context().state.log / "dnsmasq.log"
    assert "/snponly.efi to 10.80.0.11" in served.read_text(errors="replace")
    assert list(driver.status()["machines"]["cp1"]["stages"]) == ["dhcp"], "no boot script was asked for"


@pytest.mark.apart
def test_what_debian_signed_boots_by_http(scene: Callable[[str], Driver]) -> None:
    """shim, GRUB and GRUB's scripts by HTTP alone; and shim leaves the level by which it will judge from now on."""
    machines = Machines(scene(SIGNED.replace("firmware: secure-boot", "firmware: secure-boot-http")))
    tell(machines, {"cp1": booting()})
    print(f"os after {machines.stages('cp1')[Stage.OS]:.0f} s")
    assert list(machines.stages("cp1"))[:6] == ["dhcp", "ipxe", "kernel", "rootfs", "config", "os"]
    assert machines.reported("cp1", Stage.IPXE) == "by GRUB"
    entries = [json.loads(line) for line in machines.log("nginx.log").splitlines() if line.startswith("{")]
    fetched = [one["uri"] for one in entries if one["address"] == "10.80.0.11" and str(one["status"]) == "200"]
    for wanted in ("/ipxe/shimx64.efi", "/ipxe/grubx64.efi"):
        assert wanted in fetched, fetched
    assert " to 10.80.0.11" not in machines.log("dnsmasq.log"), "nothing by TFTP"
    paths = qemu.Paths.of(machines.virtual.state, machines.machine("cp1"))
    assert b"\nshim," in uefi_variables.read(paths.variables)[SHIM, LEVEL]


@pytest.mark.apart
def test_a_shim_older_than_sbat_allows_is_refused(scene: Callable[[str], Driver], tmp_path: Path) -> None:
    """As on a PC whose other system has raised the level: Debian has no shim that today's level refuses."""
    variables = tmp_path / "variables.fd"
    shutil.copyfile(qemu.OVMF_SECURE_VARS, variables)
    uefi_variables.add(variables, SHIM, LEVEL, FUTURE)
    driver = scene(SIGNED)
    machines = Machines(driver)
    machines.on("cp1", variables=variables)
    try:
        driver.wait(lambda: "SBAT self-check failed" in machines.console("cp1"), "shim refuses itself")
    finally:
        machines.cut("cp1")
    served = machines.log("dnsmasq.log")
    assert "/shimx64.efi to 10.80.0.11" in served
    assert "/grubx64.efi to 10.80.0.11" not in served
    assert list(machines.stages("cp1")) == [Stage.DHCP], "no boot script was asked for"
