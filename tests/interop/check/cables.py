"""Two network namespaces on one cable: the server's, and somebody else's."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import commands
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.check.findings import Finding

LAB = """\
name: wire
network: {{subnet: 10.98.0.0/24, server: 10.98.0.1, dhcp: {dhcp}, interface: {interface}}}
machines:
- {{name: cp1, mac: 52:54:00:98:00:11, address: 10.98.0.11, role: control-plane, memory: 2GiB}}
- {{name: w1, mac: 52:54:00:98:00:21, address: 10.98.0.21, memory: 1GiB}}
"""
ROGUE_MAC = "52:54:00:98:00:99"
NUMBERS = itertools.count(1)


@dataclass
class Cable:
    """The server's namespace and, at the other end, somebody else's."""

    server: str
    other: str
    folder: Path

    def lab(self, *, dhcp: str = "full", interface: str = "eth0") -> Path:
        file = self.folder / f"{dhcp}-{interface}.yaml"
        file.write_text(LAB.format(dhcp=dhcp, interface=interface))
        return file

    def check(self, name: str, **lab: str) -> list[Finding]:
        words: list[str | Path] = [self.lab(**lab), "0", name]
        done = commands.call(words, module="nodisk.check.inside", netns=self.server, check=True)
        return [Finding.from_json(value) for value in json.loads(done.stdout)]

    def ip(self, namespace: str, *words: str) -> None:
        run.run(["ip", "-n", namespace, *words])

    def held(self, namespace: str, port: int) -> bool:
        """Whether anybody in the namespace has the port."""
        table = run.run(["cat", "/proc/net/udp", "/proc/net/tcp"], netns=namespace).stdout
        return f":{port:04X} 00000000:0000" in table

    @contextmanager
    def program(self, namespace: str, port: int, *argv: str) -> Iterator[None]:
        """Run a program in a namespace for a while, from when it holds ``port`` (TCP or UDP) on."""
        words = [str(run.find("ip")), "netns", "exec", namespace, *argv]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                why = f"{argv[0]} does not bind port {port}"
                until(lambda: self.held(namespace, port), every=0.1, why=why, process=process)
                yield
            finally:
                process.terminate()
                process.wait(LONG)

    @contextmanager
    def third(self, address: str) -> Iterator[str]:
        """One more host at the far end, with an address of its own; its namespace."""
        name = f"{self.other}3"
        run.run(["ip", "netns", "add", name])
        try:
            self.ip(self.other, "link", "add", "more", "link", "eth0", "type", "macvlan", "mode", "bridge")
            self.ip(self.other, "link", "set", "more", "netns", name, "name", "eth0")
            self.ip(name, "link", "set", "eth0", "up")
            self.ip(name, "address", "add", f"{address}/24", "dev", "eth0")
            yield name
        finally:
            run.run(["ip", "netns", "delete", name], check=False)

    @contextmanager
    def dnsmasq_in(self, namespace: str, *options: str) -> Iterator[None]:
        """A DHCP server in a namespace whose card has an address."""
        argv = [str(run.find("dnsmasq")), "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping"]
        leases = self.folder / f"leases-{namespace}"
        argv += ["--interface=eth0", "--bind-interfaces", f"--dhcp-leasefile={leases}", "--user=root"]
        argv.append("--pid-file=")  # none: all tests on this host would share the usual one
        with self.program(namespace, 67, *argv, *options):
            yield

    @contextmanager
    def dnsmasq(self, *options: str) -> Iterator[None]:
        """Somebody else's DHCP server at 10.98.0.200."""
        self.ip(self.other, "address", "add", "10.98.0.200/24", "dev", "eth0")
        try:
            with self.dnsmasq_in(self.other, *options):
                yield
        finally:
            self.ip(self.other, "address", "flush", "dev", "eth0")


@contextmanager
def laid(folder: Path) -> Iterator[Cable]:
    """A cable between two new namespaces, taken away at the end."""
    assert os.geteuid() == 0, "these tests make network namespaces: run them as root"
    name = f"nodisk-test-{os.getpid()}-wire{next(NUMBERS)}"
    made = Cable(f"{name}-a", f"{name}-b", folder)
    try:
        for namespace in (made.server, made.other):
            run.run(["ip", "netns", "add", namespace])
            made.ip(namespace, "link", "set", "lo", "up")
        made.ip(made.server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", made.other)
        made.ip(made.other, "link", "set", "eth0", "address", ROGUE_MAC)
        for namespace in (made.server, made.other):
            made.ip(namespace, "link", "set", "eth0", "up")
        made.ip(made.server, "address", "add", "10.98.0.1/24", "dev", "eth0")
        yield made
    finally:
        for namespace in (made.server, made.other):
            run.run(["ip", "netns", "delete", namespace], check=False)
