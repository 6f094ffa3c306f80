"""A pod, its machine with the machine's own nftables rules, the server and another machine, on wires in the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.waits import until

from nodisk import run
from nodisk.plan import containers
from nodisk.spec.model import Lab

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
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


class Wire:
    """A pod behind a machine's bridge, the server, and another machine, in namespaces of their own."""

    def __init__(self, folder: Path, lab: Lab = LAB) -> None:
        self.folder = folder
        self.lab = lab
        self.listeners: list[subprocess.Popen[bytes]] = []

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
        self.ip("-n", self.name("machine"), "link", "set", "lo", "up")
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
        rules.write_text(containers.firewall(self.lab, names=True))
        for _ in range(2):  # again: the table is replaced
            run.run(["nft", "-f", rules], netns=self.name("machine"))

    def listen(self, who: str, address: str, *ports: int) -> None:
        """Answer there, over TCP and UDP, until the wire is removed."""
        log = self.folder / f"{who}-{address}"
        words = [sys.executable, "-c", ANSWER, address, *map(str, ports)]
        self.listeners.append(run.start(words, log_file=log, netns=self.name(who)))
        until(lambda: "listening" in log.read_text(), why=log.read_text, process=self.listeners[-1])

    def remove(self) -> None:
        for one in self.listeners:
            one.kill()
            one.wait()
        for who in ("pod", "server", "other", "machine"):
            run.run(["ip", "netns", "del", self.name(who)], check=False)
