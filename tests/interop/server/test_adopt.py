"""A room of machines that lab.yaml doesn't know, adopted while its server runs."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from tests.interop.server.rooms import STRANGER, Room

from nodisk import run
from nodisk.errors import CommandFailed

pytestmark = pytest.mark.interop

ROOM = 30
WITHIN = 10.0
"""Seconds of command time for a room of 30 (issue 11), on a host that is not busy."""
BUSY = 6
"""So much longer it may take here: tests share the host."""


def mac(number: int) -> str:
    return f"8c:ec:4b:00:01:{number:02x}"


def boot(room: Room, namespace: str, numbers: list[int]) -> str:
    """What the menu's first line does, for each machine in this order; the texts that they get."""
    said = "manufacturer=Dell%20Inc.&product=OptiPlex%207010&serial=S{0}&uuid=4c4c&memsize=8066&platform=efi"
    urls = [f"http://10.99.0.1/boot/{mac(number).replace(':', '-')}.ipxe?{said.format(number)}" for number in numbers]
    return room.curl(namespace, *urls)


@pytest.fixture
def full(empty_room: Room) -> tuple[Room, str]:
    """A room whose server runs, and the namespace that all its unknown machines ask from."""
    stranger = empty_room.plug("stranger", *STRANGER)
    empty_room.start()
    return empty_room, stranger


def test_a_whole_room_in_one_go(full: tuple[Room, str], capsys: pytest.CaptureFixture[str]) -> None:
    room, stranger = full
    order = [number * 7 % ROOM for number in range(ROOM)]  # not the order of their MACs
    boot(room, stranger, order)
    listed = json.loads(room.nodisk("machines", "list", "--unknown", "-o", "json").stdout)["machines"]
    assert [one["mac"] for one in listed] == [mac(number) for number in order]
    assert {one["product"] for one in listed} == {"OptiPlex 7010"}
    assert (listed[0]["firmware"], listed[0]["memory_mib"], listed[0]["last_address"]) == ("UEFI", 8066, STRANGER[1])
    assert "30 unknown machines asked" in room.nodisk("status").stdout

    before = room.lab_file.read_bytes()
    began = time.monotonic()
    said = json.loads(room.nodisk("machines", "adopt", "--all", "--as", "w", "--seats", "6", "-o", "json").stdout)
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\na room of {ROOM} adopted in {seconds:.1f} s, the server's reload included")
    assert seconds < WITHIN * BUSY
    assert said["server"] == "reloaded"
    assert room.lab_file.read_bytes().startswith(before)

    added = room.lab.machines[2:]
    assert [str(one.mac) for one in added] == [mac(number) for number in order]
    # w1 is there already.
    assert [str(one.name) for one in added] == [f"w{number}" for number in range(2, ROOM + 2)]
    assert [str(one.seat) for one in added[:7]] == ["1,1", "1,2", "1,3", "1,4", "1,5", "1,6", "2,1"]
    assert not {str(one.address) for one in added} & {"10.99.0.1", "10.99.0.11", "10.99.0.21"}

    assert "nodisk: w2 takes its address" in boot(room, stranger, [order[0]])
    assert json.loads(room.nodisk("machines", "list", "--unknown", "-o", "json").stdout)["machines"] == []
    with pytest.raises(CommandFailed, match="no machine that is not in lab"):
        room.nodisk("machines", "adopt", "--all")


def test_a_room_by_its_switch_ports(full: tuple[Room, str]) -> None:
    """In the order of the ports, however they were switched on; one whose port isn't known keeps all out."""
    room, stranger = full

    def tell(number: int, port: str) -> None:
        told = f"hex.system={b'sw & 1'.hex()}&hex.port=05{port.encode().hex()}" if port else "serial=1"
        room.curl(stranger, f"http://10.99.0.1/boot/{mac(number).replace(':', '-')}.ipxe?{told}")

    for number, port in ((1, "Gi1/0/10"), (2, "Gi1/0/9"), (3, "")):
        tell(number, port)
    with pytest.raises(CommandFailed, match=f"switch port of 1 of 3 machines is not known: {mac(3)}"):
        room.nodisk("machines", "adopt", "--all", "--order", "port")
    tell(3, "Gi1/0/2")
    listed = json.loads(room.nodisk("machines", "list", "--unknown", "-o", "json").stdout)["machines"]
    assert [one["switch_port"] for one in listed] == ["Gi1/0/10", "Gi1/0/9", "Gi1/0/2"]
    assert {one["switch"] for one in listed} == {"sw & 1"}
    room.nodisk("machines", "adopt", "--all", "--order", "port")
    assert [str(one.mac) for one in room.lab.machines[2:]] == [mac(3), mac(2), mac(1)]


def test_of_two_who_adopt_the_same_machine_one_is_told(empty_room: Room) -> None:
    words = [["machines", "adopt", mac(1), name] for name in ("left", "right")]
    racing = [
        subprocess.Popen(empty_room.words(*one), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for one in words
    ]
    done = [(*one.communicate(timeout=120), one.returncode) for one in racing]
    winner, loser = sorted(done, key=lambda one: one[2])
    assert (winner[2], loser[2]) == (0, 2)
    assert f"{mac(1)} is in lab.yaml already: it is {winner[0].split()[1].rstrip(':')}" in loser[1]
    assert len(empty_room.lab.machines) == 3


def test_rename_swap_and_forget_reach_the_server(full: tuple[Room, str]) -> None:
    room, stranger = full
    said = room.nodisk("machines", "rename", "w1", "window").stdout
    # There is no API server here, but there are credentials for one.
    assert "the API does not answer: if the cluster has a node w1" in said
    assert "The server has taken it over." in said
    room.nodisk("machines", "swap", "window", mac(9))
    assert "nodisk: window takes its address" in boot(room, stranger, [9])
    old = room.curl(stranger, "http://10.99.0.1/boot/52-54-00-99-00-21.ipxe")
    assert "nodisk machines adopt 52:54:00:99:00:21" in old
    room.nodisk("machines", "forget", "window")
    assert "does not know this machine" in boot(room, stranger, [9])
    assert run.run(["tail", "-n", "1", str(room.lab_file)]).stdout.startswith("  - {name: cp1,")


def test_a_server_of_another_file_is_told_apart(full: tuple[Room, str]) -> None:
    """Somebody adopts into a copy of the file that the server serves."""
    room, _ = full
    copy = room.folder / "copy.yaml"
    copy.write_bytes(room.lab_file.read_bytes())
    words = [*room.words("machines", "adopt", mac(3)), "--lab", str(copy)]
    said = run.run(words, netns=room.name, timeout=120).stdout
    assert "The server goes on with what it had" in said
    assert room.lab.by_mac(room.machine("w1").mac) is not None
