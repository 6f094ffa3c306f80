"""Wake-on-LAN on a real segment: what arrives at a machine's card, and nothing to anybody else's machines."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from tests.interop.server.rooms import Room

from nodisk.machines.wake import ROUNDS, magic

pytestmark = pytest.mark.interop
# As a card does: every frame, whatever it holds.
LISTEN = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 0))
wire.settimeout(120)
print("listens", flush=True)
try:
    while True:
        frame = wire.recv(2048)
        if bytes.fromhex(sys.argv[1]) in frame:
            print(frame.hex(), flush=True)
except TimeoutError:
    pass
"""


def test_a_machine_gets_its_packet(empty_room: Room) -> None:
    w1, cp1 = empty_room.machine("w1"), empty_room.machine("cp1")
    namespace = empty_room.plug("w1", str(w1.mac), None)  # switched off, a machine has no address
    frames = {}
    for machine in (w1, cp1):
        words = ["ip", "netns", "exec", namespace, sys.executable, "-c", LISTEN, magic(machine.mac).hex()]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "listens\n"
            done = empty_room.nodisk("power", "wake", "w1")
            lines = [listener.stdout.readline() for _ in range(ROUNDS if machine is w1 else 0)]
            time.sleep(1)  # for one too many
            listener.terminate()
            lines += listener.stdout.readlines()
            frames[machine.name] = [bytes.fromhex(line) for line in lines]
    assert done.stdout == "sent wake-up packets from lan to: w1\n"
    assert len(frames[w1.name]) == ROUNDS
    assert {frame[:6] for frame in frames[w1.name]} == {b"\xff" * 6}, "to all: a switch does not know where it sleeps"
    assert frames[cp1.name] == []


def test_what_it_would_do_and_what_it_refuses(empty_room: Room) -> None:
    dry = empty_room.nodisk("power", "wake", "--all", "--dry-run").stdout
    assert dry == "would wake: cp1 (52:54:00:99:00:11), w1 (52:54:00:99:00:21)\n"
    assert "the lab test has no machine 'w9'" in empty_room.nodisk("power", "wake", "w9", check=False).stderr
    assert empty_room.nodisk("power", "wake", check=False).returncode == 2
