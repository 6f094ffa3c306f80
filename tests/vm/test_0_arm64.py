"""A 64-bit ARM machine: it comes as far as iPXE's script, which says that there is no image for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import Driver

from nodisk import run
from nodisk.machines.segment import Segment
from nodisk.plan import boot

pytestmark = [pytest.mark.vm, pytest.mark.apart]

MAC = "52:54:00:88:00:0b"
LAB = f"""\
name: vmtest-arm64
network: {{subnet: 10.88.0.0/24, server: 10.88.0.1}}
os: {{kernel: cloud}}
machines:
  - {{name: cp1, mac: "{MAC}", address: 10.88.0.11, role: control-plane, memory: 2GiB}}
"""
AAVMF = Path("/usr/share/AAVMF")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """The lab's server, without a machine of its own making."""
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    driver = Driver(file)
    driver("lab", "down", "--purge")
    try:
        driver("build", timeout=1800)
        driver.start_server()
        yield driver
    finally:
        driver("lab", "down", "--purge")


def test_arm64_is_told_that_there_is_no_image(driver: Driver, tmp_path: Path) -> None:
    lab = driver.context().lab
    segment = Segment.of(lab)
    console, variables = tmp_path / "console", tmp_path / "variables.fd"
    shutil.copyfile(AAVMF / "AAVMF_VARS.fd", variables)
    words = ["qemu-system-aarch64", "-nodefaults", "-display", "none"]
    words += ["-machine", "virt", "-cpu", "cortex-a57", "-m", "512"]
    words += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={AAVMF / 'AAVMF_CODE.fd'}"]
    words += ["-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
    words += ["-netdev", f"tap,id=net0,ifname={segment.tap(lab.machines[0].mac)},script=no,downscript=no"]
    words += ["-device", f"virtio-net-pci,netdev=net0,mac={MAC},bootindex=1,romfile="]
    words += ["-serial", f"file:{console}"]
    machine = run.start(words, log_file=tmp_path / "qemu.log", netns=segment.netns)
    try:

        def told() -> bool:
            assert machine.poll() is None, (tmp_path / "qemu.log").read_text()
            return console.exists() and boot.NO_ARM64 in console.read_text(errors="replace")

        try:
            driver.wait(told, "iPXE says that there is no image")
        finally:
            print(console.read_text(errors="replace")[-3000:] if console.exists() else "no console")
    finally:
        machine.kill()  # it has no disk that could suffer
        machine.wait(60)
    seen = driver.status()["machines"]["cp1"]["stages"]
    assert list(seen) == ["dhcp"], "its own script was never asked for"
    said = [event["detail"] for event in driver.events("cp1", 0) if event["kind"] == "stage"]
    assert "firmware for which there is no image (architecture 11, UEFI on 64-bit ARM)" in said
