"""Two machines with pods on bridges and somebody outside, in namespaces; who reaches whom is tried all at once.

One process holds the sockets of all pods: a socket stays in the namespace in which it was made. Nothing waits for a
timeout: after everything has been sent, each machine sends its own pods a last datagram, which nothing filters, and the
kernel delivers in order to a process that stays on one processor.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import select
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from nodisk import run
from nodisk.plan import containers

PORTS = (80, 81, 443)
OUTSIDE = "10.99.0.5"
RANGES = {"n1": IPv4Network("10.244.21.0/24"), "n2": IPv4Network("10.244.22.0/24")}
PODS = ("10.244.21.2", "10.244.21.3", "10.244.21.4", "10.244.22.2", "10.244.22.3")
_END_PORT = 7
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")
Flow = tuple[str, str, str, int]
"""Source, target, protocol, port."""


def flows(protocols: Iterable[str] = ("TCP", "UDP")) -> list[Flow]:
    """All that are tried."""
    ends = (*PODS, OUTSIDE)
    return [(a, b, kind, port) for a, b, kind, port in itertools.product(ends, ends, protocols, PORTS) if a != b]


class PodWires:
    """The namespaces and sockets; ``remove`` ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[str] = []
        self._udp: dict[tuple[str, int], socket.socket] = {}
        self._tcp: list[socket.socket] = []
        self._processors = os.sched_getaffinity(0)

    def name(self, who: str) -> str:
        return f"np{os.getpid()}-{who}"

    def ip(self, who: str, *words: str) -> None:
        run.run(["ip", "-n", self.name(who), *words])

    def make(self) -> None:
        os.sched_setaffinity(0, {min(self._processors)})
        for who in ("n1", "n2", "out", *PODS):
            run.run(["ip", "netns", "add", self.name(who)])
            self._made.append(who)
            self.ip(who, "link", "set", "lo", "up")
        for node, pods in RANGES.items():
            self.ip(node, "link", "add", containers.BRIDGE, "type", "bridge")
            self.ip(node, "address", "add", f"{pods[1]}/24", "dev", containers.BRIDGE)
            self.ip(node, "link", "set", containers.BRIDGE, "up")
            settings = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"]
            run.run(["sysctl", "-qw", *settings], netns=self.name(node))
        for address in PODS:
            node = self.node(address)
            self._wire(node, f"v{address.replace('.', '')[-5:]}", address, f"{address}/24", bridge=True)
            self.ip(address, "route", "add", "default", "via", str(RANGES[node][1]))
        self._wire("n1", "lan2", "n2", "10.77.0.22/24", own="10.77.0.21/24")
        self._wire("n1", "lan0", "out", f"{OUTSIDE}/24", own="10.99.0.1/24")
        self.ip("n1", "route", "add", str(RANGES["n2"]), "via", "10.77.0.22")
        self.ip("n2", "route", "add", "default", "via", "10.77.0.21")
        self.ip("out", "route", "add", "default", "via", "10.99.0.1")
        self._listen()

    @staticmethod
    def node(address: str) -> str:
        return "n1" if address.startswith("10.244.21.") else "n2"

    def load(self, tables: Mapping[str, str]) -> None:
        """Apply nodes' tables as a node does."""
        for node, text in tables.items():
            file = self.folder / f"{node}.nft"
            file.write_text(text)
            run.run(["nft", "-f", file], netns=self.name(node))

    def passed(self, wanted: Iterable[Flow]) -> set[Flow]:
        """Which of these flows get through; each is a new connection."""
        sent: dict[bytes, Flow] = {}
        asked: dict[socket.socket, Flow] = {}
        senders: dict[str, socket.socket] = {}
        for number, flow in enumerate(wanted):
            source, target, kind, port = flow
            if kind == "TCP":
                caller = self._inside(source, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                caller.setblocking(False)
                caller.connect_ex((target, port))
                asked[caller] = flow
                continue
            if source not in senders:
                senders[source] = self._inside(source, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            words = str(number).encode()
            senders[source].sendto(words, (target, port))
            sent[words] = flow
        self._wait_for_the_end()
        found = {sent[words] for words in self._received() if words in sent}
        found |= {asked[caller] for caller in self._connected(asked)}
        for one in (*senders.values(), *asked):
            one.close()
        return found

    def heard(self, who: str, source: str, target: str) -> bool:
        """Whether ``target`` gets a datagram that ``who`` sends under the address ``source``."""
        sender = self._inside(who, lambda: socket.socket(type=socket.SOCK_DGRAM))
        sender.bind((source, 0))
        sender.sendto(b"spoken", (target, PORTS[0]))
        sender.close()
        self._wait_for_the_end()
        return b"spoken" in list(self._received())

    def remove(self) -> None:
        for one in (*self._udp.values(), *self._tcp):
            one.close()
        for who in self._made:
            run.run(["ip", "netns", "del", self.name(who)], check=False)
        os.sched_setaffinity(0, self._processors)

    def _wire(self, machine: str, link: str, who: str, address: str, *, own: str = "", bridge: bool = False) -> None:
        far = "eth0"
        self.ip(machine, "link", "add", link, "type", "veth", "peer", "name", far, "netns", self.name(who))
        if bridge:
            self.ip(machine, "link", "set", link, "master", containers.BRIDGE)
        if own:
            self.ip(machine, "address", "add", own, "dev", link)
        self.ip(machine, "link", "set", link, "up")
        self.ip(who, "address", "add", address, "dev", far)
        self.ip(who, "link", "set", far, "up")

    def _listen(self) -> None:
        for address in (*PODS, OUTSIDE):
            who = "out" if address == OUTSIDE else address
            for port in (*PORTS, _END_PORT):
                self._udp[address, port] = self._inside(address, lambda: socket.socket(type=socket.SOCK_DGRAM))
                self._udp[address, port].bind((address, port))
                self._udp[address, port].setblocking(False)
            for port in PORTS:
                listener = self._inside(address, socket.socket)
                listener.bind((address, port))
                listener.listen(1000)
                self._tcp.append(listener)
            # Their neighbours' addresses are asked for by ARP, whose answers must not come too late.
            run.run(["ping", "-c1", "-w60", "-q", "10.99.0.1" if who == "out" else "10.99.0.5"], netns=self.name(who))
        for one, other in itertools.permutations(PODS, 2):
            run.run(["ping", "-c1", "-w60", "-q", other], netns=self.name(one))

    def _inside(self, address: str, work: Callable[[], T]) -> T:
        """Do something in a namespace: only one thread of this process is ever in it."""
        path = Path("/run/netns") / self.name("out" if address == OUTSIDE else address)
        done: list[T] = []

        def there() -> None:
            with path.open() as file:
                if _LIBC.setns(file.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            done.append(work())

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        return done[0]

    def _wait_for_the_end(self) -> None:
        for address in (*PODS, OUTSIDE):
            machine = "n1" if address == OUTSIDE else self.node(address)
            sender = self._inside(machine, lambda: socket.socket(type=socket.SOCK_DGRAM))
            sender.sendto(b"end", (address, _END_PORT))
            sender.close()
            assert select.select([self._udp[address, _END_PORT]], [], [], 60)[0], f"{address}: its own node is refused"
            self._udp[address, _END_PORT].recv(10)

    def _received(self) -> Iterable[bytes]:
        for (_, port), one in self._udp.items():
            while port != _END_PORT and select.select([one], [], [], 0)[0]:
                yield one.recv(100)

    @staticmethod
    def _connected(asked: Iterable[socket.socket]) -> Iterable[socket.socket]:
        for one in asked:
            poll = select.poll()
            poll.register(one, select.POLLOUT)
            if any(event & select.POLLOUT and not event & select.POLLERR for _, event in poll.poll(0)):
                yield one
