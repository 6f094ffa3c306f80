"""DHCP, proxyDHCP and TFTP, asked as firmware, iPXE and an ordinary system ask."""

from __future__ import annotations

import itertools
import json
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.interop.server.rooms import IPXE, STRANGER, Room
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind
from nodisk.values import Mac, Stage

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"
W1 = "52:54:00:99:00:21"
ASK = str(Path(__file__).with_name("dhcp_client.py"))
_MARKS = itertools.count(1)


def ask(room: Room, namespace: str, mac: str, **how: object) -> dict[str, object]:
    """One DHCP exchange from a namespace; the last answer, or an empty one."""
    words = [sys.executable, ASK, json.dumps({"mac": mac, **how})]
    answer: dict[str, object] = json.loads(run.run(words, netns=f"{room.name}-{namespace}", timeout=2 * LONG).stdout)
    return answer


def recorded(room: Room, look: Callable[[Database], Sequence[Event]]) -> list[str]:
    """The details of the events that ``look`` finds, once there are any: they are read from dnsmasq's log."""

    def found() -> list[str]:
        with room.database() as database:
            return [event.detail for event in look(database)]

    return until(found, every=0.1, why="no such event")


def settled(room: Room) -> int:
    """The last event of what was asked until now: dnsmasq's log is read late, but in its order.

    So a machine that nobody has seen before asks, and once that is on record, so is all before it.
    """
    mac = f"52:54:00:98:{next(_MARKS):02x}:01"
    ask(room, "stranger", mac, vendor="PXEClient:Arch:00007:UNDI:003016", arch=7)
    recorded(room, lambda database: database.events(kinds=(Kind.UNKNOWN,), mac=Mac.parse(mac)))
    with room.database() as database:
        return max(event.id for event in database.events())


@pytest.mark.parametrize(
    ("who", "arch", "file", "option60"),
    [
        ("PXEClient", 0, "undionly.kpxe", None),
        ("PXEClient", 7, "snponly.efi", None),
        ("PXEClient", 9, "snponly.efi", None),
        ("PXEClient", 11, "ipxe-arm64.efi", None),
        ("HTTPClient", 16, f"http://{SERVER}/ipxe/snponly.efi", "HTTPClient"),
    ],
)
def test_firmware_gets_its_address_and_the_program_for_it(
    room: Room, who: str, arch: int, file: str, option60: str | None
) -> None:
    answer = ask(room, "w1", W1, vendor=f"{who}:Arch:{arch:05}:UNDI:003016", arch=arch)
    assert answer["type"] == "ack"
    assert (answer["address"], answer["netmask"], answer["dns"]) == ("10.99.0.21", "255.255.255.0", SERVER)
    assert answer["file"] == file
    # A PXE client that gets option 60 asks port 4011, where full DHCP has no answer: UEFI then stops.
    assert answer["vendor"] == option60
    assert answer["router"] is None, "this lab has no gateway"
    if who == "PXEClient":
        assert answer["next"] == SERVER


def test_ipxe_is_sent_to_the_script_and_both_are_on_record(room: Room) -> None:
    before = settled(room)
    ask(room, "w1", W1, vendor="PXEClient:Arch:00000:UNDI:002001", arch=0)
    answer = ask(room, "w1", W1, vendor="PXEClient:Arch:00000:UNDI:002001", arch=0, user_class="iPXE", ipxe=True)
    assert answer["file"] == f"http://{SERVER}/boot.ipxe"

    def found() -> list[tuple[str | None, str]]:
        with room.database() as database:
            events = database.events(after=before)
        # Once each: who asks again because the answer is late is heard again.
        return list(dict.fromkeys((event.machine, event.detail) for event in events if event.stage is Stage.DHCP))

    until(lambda: ("w1", "iPXE") in found(), every=0.1, why=found)
    assert found() == [("w1", "firmware"), ("w1", "iPXE")]


def test_an_ordinary_system_s_lease_is_no_boot(room: Room) -> None:
    before = settled(room)
    script = room.folder / "udhcpc"
    script.write_text(
        '#!/bin/sh\n[ "$1" = bound ] && echo "$ip $subnet $dns $ntpsrv $domain" >' + f"{room.folder}/lease\n"
    )
    script.chmod(0o755)
    words = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "30", "-T", "2", "-f", "-s", str(script)]
    run.run(words, netns=f"{room.name}-w1", timeout=LONG)
    settled(room)  # so that what it asked is read as well
    assert (room.folder / "lease").read_text().split() == [
        *("10.99.0.21", "255.255.255.0", SERVER, SERVER, "test.internal"),
    ]
    with room.database() as database:
        assert [event for event in database.events(after=before) if event.stage is Stage.DHCP] == []


def test_an_unknown_machine_gets_a_free_address_for_its_menu(room: Room) -> None:
    answer = ask(room, "stranger", STRANGER[0], vendor="PXEClient:Arch:00007:UNDI:003016", arch=7)
    taken = {SERVER, "10.99.0.11", "10.99.0.21"}
    assert answer["type"] == "ack"
    assert answer["address"] not in taken
    said = recorded(room, lambda database: database.events(kinds=(Kind.UNKNOWN,), mac=Mac.parse(STRANGER[0])))
    assert said[-1] == "firmware asks by DHCP"


def test_firmware_for_which_there_is_no_program(room: Room) -> None:
    last = settled(room)
    answer = ask(room, "w1", W1, vendor="PXEClient:Arch:00006:UNDI:003016", arch=6, offer_only=True)
    assert not answer.get("file")
    details = recorded(room, lambda database: database.events(after=last, kinds=(Kind.STAGE,), mac=Mac.parse(W1)))
    assert set(details) == {"firmware for which there is no program (architecture 6, UEFI on 32-bit x86)"}


def test_firmware_for_which_there_is_no_image(room: Room) -> None:
    last = settled(room)
    ask(room, "w1", W1, vendor="PXEClient:Arch:00011:UNDI:003000", arch=11)
    details = recorded(room, lambda database: database.events(after=last, kinds=(Kind.STAGE,), mac=Mac.parse(W1)))
    assert details[0] == "firmware for which there is no image (architecture 11, UEFI on 64-bit ARM)"


def test_tftp_gives_ipxe_and_nothing_else(room: Room, tmp_path: Path) -> None:
    def fetch(name: str) -> bytes | None:
        target = tmp_path / "got"
        target.unlink(missing_ok=True)
        words = ["busybox", "tftp", "-g", "-r", name, "-l", str(target), SERVER]
        done = run.run(words, netns=f"{room.name}-w1", check=False, timeout=LONG)
        return target.read_bytes() if done.returncode == 0 else None

    assert fetch("undionly.kpxe") == IPXE + b"undionly.kpxe"
    assert fetch("../../nodisk.db") is None
    assert fetch("/etc/passwd") is None


def test_proxy_dhcp_beside_the_rooms_own_server(proxy_room: Room) -> None:
    proxy_room.plug("w1", W1, "10.99.0.21")
    proxy_room.start()
    bios = ask(proxy_room, "w1", W1, vendor="PXEClient:Arch:00000:UNDI:002001", arch=0, offer_only=True)
    assert (bios["type"], bios["address"], bios["vendor"]) == ("offer", "0.0.0.0", "PXEClient")
    # BIOS gets a menu of one item, which it takes at once (PXE 2.1): it asks port 4011 for that item.
    assert "8000" + "01" + socket.inet_aton(SERVER).hex() in str(bios["menu"])
    how: dict[str, object] = {"port": 4011, "address": "10.99.0.21"}
    boot = ask(proxy_room, "w1", W1, vendor="PXEClient:Arch:00000:UNDI:002001", arch=0, item=0x8000, **how)
    assert (boot["type"], boot["file"], boot["next"]) == ("ack", "undionly.kpxe", SERVER)
    # UEFI is told to ask port 4011, and gets its program there.
    uefi = ask(proxy_room, "w1", W1, vendor="PXEClient:Arch:00007:UNDI:003016", arch=7, offer_only=True)
    assert (uefi["type"], uefi["vendor"]) == ("offer", "PXEClient")
    boot = ask(proxy_room, "w1", W1, vendor="PXEClient:Arch:00007:UNDI:003016", arch=7, **how)
    assert (boot["type"], boot["file"]) == ("ack", "snponly.efi")
    ipxe = ask(
        proxy_room,
        "w1",
        W1,
        vendor="PXEClient:Arch:00007:UNDI:003016",
        arch=7,
        user_class="iPXE",
        ipxe=True,
        offer_only=True,
    )
    assert ipxe["file"] == f"http://{SERVER}/boot.ipxe"
    ordinary = ask(proxy_room, "w1", W1, offer_only=True, tries=8)
    assert ordinary == {}, "nobody else may get an answer from a proxy"
    for word in ("firmware", "iPXE"):
        recorded(
            proxy_room,
            lambda database: [
                event
                for event in database.events(kinds=(Kind.STAGE,))
                if (event.detail, event.machine) == (word, "w1")  # noqa: B023 - called at once
            ],
        )
    assert proxy_room.stop() == 0
