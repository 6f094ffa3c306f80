"""Every firmware by every way of DHCP: who gives addresses, and who says what to boot.

A scene is one virtual lab with a machine for each kind of firmware; a room's own DHCP server, where it has one, is in a
namespace of its own on the lab's segment and gives addresses of a pool to anybody. ``full`` with BIOS is everywhere
else, ``full`` with UEFI in ``test_0_uefi`` and ``test_0_secure_boot``.

The option ROM by which QEMU's SeaBIOS boots is iPXE itself, and gets the lab's script at once. So are the ROMs of the
tests at the end: one of another version, and one that the room's server takes for any maker's and sends our iPXE.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.interop.server import room_servers
from tests.support import debian_tree
from tests.vm.driver import BOOT_WITHIN, Driver
from tests.vm.machines import Machines, booting, tell, with_rom

from nodisk import run
from nodisk.machines.segment import Segment
from nodisk.records.virtual_lab import BRIDGE
from nodisk.spec.model import Firmware
from nodisk.spec.model_os import Suite
from nodisk.state import DEFAULT_STATE, State
from nodisk.values import Stage
from nodisk.yamltext import dump

pytestmark = pytest.mark.vm

ROOM = "nodisk-test-vm-room"
POOL = range(150, 200)
WAY = ["ipxe", "kernel", "rootfs", "config", "os"]


def lab(dhcp: str, *firmware: Firmware) -> str:
    """A machine for each, called after its firmware; the first is the control plane."""
    machines: list[dict[str, Any]] = [
        {
            "name": str(one),
            "mac": f"52:54:00:99:08:{number}",
            "address": f"10.99.0.{number}",
            "role": "control-plane" if number == 11 else "worker",
            "memory": "2GiB" if number == 11 else "1GiB",
            "firmware": str(one),
            **({"secure_boot": True} if one.signed_only else {}),
        }
        for number, one in enumerate(firmware, start=11)
    ]
    network = {"subnet": "10.99.0.0/24", "server": "10.99.0.1", "dhcp": dhcp}
    return dump({"name": "vmtest-matrix", "network": network, "os": {"kernel": "cloud"}, "machines": machines})


@contextmanager
def a_room(segment: Segment, server: str, snippet: str, folder: Path) -> Iterator[None]:
    """The room's own DHCP server on the lab's segment, with ``snippet`` pasted."""
    segment.up()
    run.run(["ip", "netns", "delete", ROOM], check=False)
    run.run(["ip", "netns", "add", ROOM])
    try:
        port = ["link", "add", "room", "type", "veth", "peer", "name", "eth0", "netns", ROOM]
        run.run(["ip", "-n", segment.netns, *port])
        run.run(["ip", "-n", segment.netns, "link", "set", "room", "master", BRIDGE, "up"])
        run.run(["ip", "-n", ROOM, "link", "set", "lo", "up"])
        run.run(["ip", "-n", ROOM, "link", "set", "eth0", "up"])
        run.run(["ip", "-n", ROOM, "address", "add", f"{room_servers.ADDRESS}/24", "dev", "eth0"])
        with room_servers.serving(ROOM, room_servers.START[server](folder, snippet), folder):
            yield
    finally:
        run.run(["ip", "netns", "delete", ROOM], check=False)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Callable[[str], Driver]]:
    """A lab by its lab.yaml, nothing of it running; taken away at the end."""
    driver = Driver(tmp_path / "lab.yaml")

    def made(text: str) -> Driver:
        driver.file.write_text(text)
        driver("lab", "down", "--purge")
        return driver

    try:
        yield made
    finally:
        driver("lab", "down", "--purge")


def boot(driver: Driver, *, but: tuple[str, ...] = ()) -> float:
    """Switch everything on and wait for each machine's `os`; returns when it began.

    A machine that got there is switched off, as its processors are the others' now; those of ``but`` stay on.
    """
    began = time.time()
    driver.up()
    left = {str(machine.name) for machine in driver.context().lab.machines}

    def look() -> bool:
        for name in sorted(left):
            if driver.reported(name, ["os"], began) is not None:
                print(f"{name}: os after {time.time() - began:.0f} s")
                left.discard(name)
                if name not in but:
                    driver("lab", "power", name, "cut")
        return not left

    # They boot at the same time, on the same processors.
    driver.wait(look, "every machine reports os", seconds=BOOT_WITHIN * len(left))
    return began


def came(driver: Driver, name: str, began: float) -> tuple[list[str], str]:
    """The way that a machine came, and what it said of its address."""
    stages = [event["stage"] for event in driver.events(name, began) if event["kind"] == "stage"]
    alarms = [event for event in driver.events(name, began) if event["kind"] == "alarm"]
    assert alarms == [], "it took lab.yaml's address before anything was minted"
    return list(dict.fromkeys(stages)), driver.reported(name, ["ipxe"], began) or ""


def from_the_pool(said: str) -> bool:
    """Whether the room's server gave the machine an address of its pool."""
    given = re.search(r"the room's DHCP server gave it 10\.99\.0\.(\d+)$", said)
    return given is not None and int(given[1]) in POOL


def test_beside_kea_bios_becomes_ready_and_uefi_boots(scene: Callable[[str], Driver], tmp_path: Path) -> None:
    """Two of the four cells that every run has: proxyDHCP beside Debian's Kea."""
    driver = scene(lab("proxy", Firmware.BIOS, Firmware.UEFI))
    with a_room(Segment.of(driver.context().lab), "kea", "", tmp_path):
        began = boot(driver, but=("bios",))
        driver.await_ready("bios")
        for name in ("bios", "uefi"):
            stages, said = came(driver, name, began)
            assert stages[:6] == ["dhcp", *WAY], name
            assert from_the_pool(said), f"{name}: {said}"
        assert "enrolled" in came(driver, "bios", began)[0], "the nonce was minted for lab.yaml's address"


@pytest.mark.apart
@pytest.mark.parametrize(
    ("dhcp", "server", "firmware"),
    [
        # UEFI asks for HTTP boot with a class of its own, and dnsmasq's proxyDHCP answers PXE clients only.
        ("proxy", "kea", (Firmware.BIOS, Firmware.UEFI, Firmware.SECURE_BOOT)),
        ("none", "kea", tuple(Firmware)),
        ("none", "isc", tuple(Firmware)),
    ],
)
def test_every_firmware_beside_a_rooms_server(
    scene: Callable[[str], Driver], dhcp: str, server: str, firmware: tuple[Firmware, ...], tmp_path: Path
) -> None:
    """With `none` the room's server has what `nodisk dhcp-snippet` prints, and nothing of ours answers DHCP."""
    driver = scene(lab(dhcp, *firmware))
    snippet = driver("dhcp-snippet", server).stdout if dhcp == "none" else ""
    with a_room(Segment.of(driver.context().lab), server, snippet, tmp_path):
        began = boot(driver)
        for one in firmware:
            stages, said = came(driver, str(one), began)
            first = ["dhcp"] if dhcp == "proxy" else []
            assert stages[: len(first) + len(WAY)] == [*first, *WAY], one
            assert from_the_pool(said), f"{one}: {said}"
            assert ("by GRUB" in said) is one.signed_only


def by_rom(driver: Driver, suite: Suite) -> Machines:
    """Boot the lab's one machine by the option ROM of a suite's QEMU, to `os`."""
    rom = debian_tree.virtio_rom(State(DEFAULT_STATE), suite)
    driver("build", timeout=1800)
    driver.start_server()
    machines = Machines(driver)
    tell(machines, {"bios": booting(with_rom(rom))})
    print(f"bios: os after {machines.stages('bios')[Stage.OS]:.0f} s")
    return machines


@pytest.mark.apart
@pytest.mark.parametrize(("dhcp", "server"), [("full", ""), ("proxy", "kea"), ("none", "kea"), ("none", "isc")])
def test_a_rom_that_is_ipxe_boots_the_script(
    scene: Callable[[str], Driver], dhcp: str, server: str, tmp_path: Path
) -> None:
    """By its own `autoboot`: nobody sends it another iPXE. Debian 13's, as this host's QEMU may have one of 2019."""
    driver = scene(lab(dhcp, Firmware.BIOS))
    segment = Segment.of(driver.context().lab)
    snippet = driver("dhcp-snippet", server).stdout if dhcp == "none" else ""
    with a_room(segment, server, snippet, tmp_path) if server else nullcontext():
        machines = by_rom(driver, Suite.TRIXIE)
    first = [] if dhcp == "none" else ["dhcp"]
    assert list(machines.stages("bios"))[: len(first) + len(WAY)] == [*first, *WAY]
    assert re.search(r"iPXE 1\.(?!0\.)\d+", machines.console("bios")), "the ROM is not of 2019"
    if first:
        assert machines.reported("bios", Stage.DHCP) == "iPXE", "no firmware asked before it"
    if server:
        assert from_the_pool(machines.reported("bios", Stage.IPXE) or "")
    assert "undionly" not in machines.log("dnsmasq.log")


@pytest.mark.apart
def test_a_rom_that_is_not_taken_for_ipxe_loads_ours(scene: Callable[[str], Driver], tmp_path: Path) -> None:
    """As any maker's ROM does: our iPXE by TFTP, which then uses the ROM's driver and is given the script."""
    driver = scene(lab("none", Firmware.BIOS))
    snippet = room_servers.isc_that_renews(driver("dhcp-snippet", "isc").stdout)
    with a_room(Segment.of(driver.context().lab), "isc", snippet, tmp_path):
        machines = by_rom(driver, Suite.BOOKWORM)
    assert list(machines.stages("bios"))[: len(WAY)] == WAY
    assert re.search(r"/undionly\.kpxe to 10\.99\.0\.1\d\d\b", machines.log("dnsmasq.log"))
    versions = re.findall(r"iPXE (1\.\d+)\.\d", machines.console("bios"))
    assert len(set(versions)) == 2, "the ROM's, and ours"
