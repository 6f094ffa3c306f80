"""A machine's nftables rules in the kernel: what a pod reaches of the server, and what else goes on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodisk import run
from nodisk.plan import containers
from nodisk.spec.model import Lab

pytestmark = pytest.mark.interop
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
PORTS = (53, 67, 69, 80, 123, 2049, 2379, 4011, 5000, 6443, 6444, 8080)
ANSWER = """\
import selectors, socket, sys

all = selectors.DefaultSelector()
for port in map(int, sys.argv[2:]):
    all.register(socket.create_server((sys.argv[1], port)), selectors.EVENT_READ, "tcp")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], port))
    all.register(udp, selectors.EVENT_READ, "udp")
print("listening", flush=True)
while True:
    for key, _ in all.select():
        if key.data == "tcp":
            key.fileobj.accept()[0].close()
        else:
            data, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(data, peer)
"""
ASK = """\
import json, socket, sys

found = {"tcp": [], "udp": []}
for port in map(int, sys.argv[2:]):
    try:
        socket.create_connection((sys.argv[1], port), timeout=2).close()
        found["tcp"].append(port)
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(2)
        udp.connect((sys.argv[1], port))
        try:
            udp.send(b"x")
            udp.recv(100)
            found["udp"].append(port)
        except OSError:
            pass
print(json.dumps(found))
"""


class Wire:
    """A pod behind a machine's bridge, the server, and another machine, in namespaces of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ip(self, *words: str) -> None:
        run.run(["ip", *words])

    def name(self, who: str) -> str:
        return f"fw{os.getpid()}-{who}"

    def plug(self, who: str, address: str, bridge: str) -> None:
        self.ip("netns", "add", self.name(who))
        peer = ("peer", "name", "eth0", "netns", self.name(who))
        self.ip("-n", self.name("machine"), "link", "add", f"v-{who}", "type", "veth", *peer)
        self.ip("-n", self.name("machine"), "link", "set", f"v-{who}", "master", bridge, "up")
        self.ip("-n", self.name(who), "address", "add", f"{address}/24", "dev", "eth0")
        self.ip("-n", self.name(who), "link", "set", "eth0", "up")
        self.ip("-n", self.name(who), "link", "set", "lo", "up")

    def make(self) -> None:
        self.ip("netns", "add", self.name("machine"))
        for bridge, address in ((containers.BRIDGE, "10.244.21.1"), ("lan", "10.77.0.21")):
            self.ip("-n", self.name("machine"), "link", "add", bridge, "type", "bridge")
            self.ip("-n", self.name("machine"), "address", "add", f"{address}/24", "dev", bridge)
            self.ip("-n", self.name("machine"), "link", "set", bridge, "up")
        self.plug("pod", "10.244.21.2", containers.BRIDGE)
        self.plug("server", "10.77.0.1", "lan")
        self.plug("other", "10.77.0.22", "lan")
        self.ip("-n", self.name("pod"), "route", "add", "default", "via", "10.244.21.1")
        self.ip("-n", self.name("server"), "route", "add", "10.244.21.0/24", "via", "10.77.0.21")
        run.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], netns=self.name("machine"))
        rules = self.folder / "nftables.conf"
        rules.write_text(containers.firewall(LAB))
        for _ in range(2):  # again: the table is replaced
            run.run(["nft", "-f", rules], netns=self.name("machine"))

    def remove(self) -> None:
        for who in ("pod", "server", "other", "machine"):
            run.run(["ip", "netns", "del", self.name(who)], check=False)

    def reached(self, who: str, address: str) -> dict[str, list[int]]:
        done = run.run([sys.executable, "-c", ASK, address, *map(str, PORTS)], netns=self.name(who), timeout=120)
        found: dict[str, list[int]] = json.loads(done.stdout)
        return found


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    listeners = []
    try:
        made.make()
        for who, address in (("server", "10.77.0.1"), ("other", "10.77.0.22"), ("pod", "10.244.21.2")):
            log = tmp_path / who
            words = [sys.executable, "-c", ANSWER, address, *map(str, PORTS)]
            listeners.append(run.start(words, log_file=log, netns=made.name(who)))
            for _ in range(200):
                if "listening" in log.read_text():
                    break
                time.sleep(0.05)
        yield made
    finally:
        for one in listeners:
            one.kill()
            one.wait()
        made.remove()


def test_what_a_pod_reaches(wire: Wire) -> None:
    everything = {"tcp": list(PORTS), "udp": list(PORTS)}
    assert wire.reached("pod", "10.77.0.1") == {"tcp": [53, 6443], "udp": [53, 123]}
    run.run(["ping", "-c", "1", "-W", "2", "10.77.0.1"], netns=wire.name("pod"))
    assert wire.reached("pod", "10.77.0.22") == everything, "another machine, such as the API's own"
    assert wire.reached("machine", "10.77.0.1") == everything, "the machine itself: pulls, NFS, enrolment"
    assert wire.reached("server", "10.244.21.2") == everything, "a pod answers the server"
