"""A real switch's LLDP (Debian's lldpd), as iPXE hears it and the server reads it."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room, make_room
from tests.support import assets
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.assets.build import build
from nodisk.plan import boot
from nodisk.records import sightings
from nodisk.records.sightings import Sighting
from nodisk.spec.load import parse
from nodisk.values import Mac

pytestmark = pytest.mark.interop

LISTEN = """
import socket
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88cc)) as wire:
    wire.bind(("eth0", 0x88cc))
    wire.settimeout(20)
    try:
        print(wire.recv(1600).hex())
    except TimeoutError:
        pass
"""
"""Prints one LLDP frame, or nothing if none comes."""


@contextlib.contextmanager
def lldpd(namespace: str, card: str, folder: Path) -> Iterator[None]:
    """A switch of the name sw1, which speaks on one port every second."""
    control = folder / "lldpd.sock"
    log = folder / "lldpd.log"
    words = ["lldpd", "-d", "-u", str(control), "-I", card, "-S", "a switch of the test"]

    def takes(setting: str) -> bool:
        return run.run(["lldpcli", "-u", str(control), "configure", *setting.split()], check=False).returncode == 0

    process = run.start(words, log_file=log, netns=namespace)
    try:
        for setting in ("system hostname sw1", "lldp portidsubtype ifname", "lldp tx-interval 1"):
            until(functools.partial(takes, setting), every=0.1, why=log.read_text, process=process)
        yield
    finally:
        process.terminate()
        process.wait(LONG)


def values(frame: bytes) -> dict[int, bytes]:
    """The first TLV of each type in an Ethernet frame, as iPXE keeps them."""
    found: dict[int, bytes] = {}
    rest = frame[14:]
    while len(rest) >= 2 and (head := int.from_bytes(rest[:2], "big")):
        found.setdefault(head >> 9, rest[2 : 2 + (head & 511)])
        rest = rest[2 + (head & 511) :]
    return found


def test_what_lldpd_says_is_read(empty_room: Room) -> None:
    machine = empty_room.plug("pc", "8c:ec:4b:99:00:01", None)
    with lldpd(empty_room.name, "p-pc", empty_room.folder):

        def said() -> dict[str, str]:
            heard = values(bytes.fromhex(run.run([sys.executable, "-c", LISTEN], netns=machine, timeout=90).stdout))
            return sightings.said(
                {f"hex.{name}": heard[kind].hex() for name, kind in boot.LLDP.items() if kind in heard}
            )

        # The first frames may still have the settings before.
        until(
            lambda: said() == {"switch": "sw1", "port": "p-pc"},
            seconds=240,
            why=lambda: (said(), (empty_room.folder / "lldpd.log").read_text()[-2000:]),
        )


def real_ipxe() -> dict[str, bytes]:
    """Debian 13's, as ``nodisk build`` has it."""
    with assets.builder() as store:
        lab = parse(assets.LAB, file=assets.state().root / "lab.yaml")
        manifest = build(lab, assets.state(), only=["ipxe"]).assets["ipxe"]
        return {name: store.path(manifest.file(name)).read_bytes() for name in ("undionly.kpxe", "snponly.efi")}


@pytest.mark.apart
def test_ipxe_tells_its_switch_port(tmp_path: Path) -> None:
    """Firmware, Debian 13's iPXE and the server's own scripts, on a port of a switch that speaks LLDP."""
    mac = Mac.parse("8c:ec:4b:99:00:01")
    room = make_room("full", programs=real_ipxe())
    card = "p-qemu"
    variables = tmp_path / "vars.fd"
    shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    try:
        run.run(["ip", "-n", room.name, "tuntap", "add", card, "mode", "tap"])
        run.run(["ip", "-n", room.name, "link", "set", card, "master", "lan", "up"])
        room.start()
        words = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "qemu64", "-m", "512", "-display", "none"]
        words += ["-serial", f"file:{tmp_path / 'serial.log'}", "-monitor", "none", "-smbios", "type=1,serial=A & B"]
        words += ["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"]
        words += ["-drive", f"if=pflash,format=raw,file={variables}"]
        words += ["-netdev", f"tap,id=n,ifname={card},script=no,downscript=no"]
        words += ["-device", f"virtio-net-pci,netdev=n,mac={mac},romfile="]
        with lldpd(room.name, card, room.folder):  # lldpd gives up root's rights
            process = run.start(words, log_file=tmp_path / "qemu.log", netns=room.name)
            try:
                seen = wait_for_port(room, mac, tmp_path)
            finally:
                process.kill()
                process.wait()
    finally:
        room.close()
    assert (seen.said["switch"], seen.said["port"], seen.said["serial"]) == ("sw1", card, "A & B")
    assert seen.said["platform"] == "efi"


def wait_for_port(room: Room, mac: Mac, folder: Path) -> Sighting:
    def seen() -> Sighting | None:
        with room.database() as database:
            found = database.sightings.of(mac)
        return found if found is not None and "port" in found.said else None

    def logs() -> str:
        return "".join(file.read_text(errors="replace") for file in sorted(folder.glob("*.log")))

    return until(seen, seconds=400, every=0.2, why=logs)
