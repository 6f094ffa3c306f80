"""The wire of a virtual lab: a network namespace with a bridge that holds the server's address.

Nothing of the host's own network changes: bridge, taps, addresses and sysctls all live in the namespace and vanish
with it. Its name, ``nodisk-LAB``, is how leftovers of a crashed run are found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Interface

from nodisk import run
from nodisk.errors import NodiskError
from nodisk.machines import processes
from nodisk.records.virtual_lab import BRIDGE
from nodisk.spec.model import Lab
from nodisk.values import Mac


def tap_name(mac: Mac) -> str:
    """The name of a machine's port: by its MAC, so that it stays when lab.yaml's order changes; at most 15 bytes."""
    return "tap" + str(mac).replace(":", "")


@dataclass(frozen=True, slots=True)
class Namespace:
    """The network namespace of one virtual lab, of which its name is enough to find and remove it."""

    lab: str

    @property
    def netns(self) -> str:
        """The namespace's name."""
        return f"nodisk-{self.lab}"

    def exists(self) -> bool:
        """Whether the namespace is there."""
        listed = run.run(["ip", "-j", "netns", "list"]).stdout.strip()
        return any(entry["name"] == self.netns for entry in json.loads(listed or "[]"))

    def down(self) -> None:
        """Delete the namespace with all in it; processes in it must have ended before. Fine if there is none."""
        if not self.exists():
            return
        left = processes.in_namespace(self.netns)
        if left:
            names = ", ".join(f"{pid} ({' '.join(processes.command_line(pid))[:60]})" for pid in left)
            raise NodiskError(f"these processes of the lab did not exit: {names}")
        run.run(["ip", "netns", "delete", self.netns])


@dataclass(frozen=True, slots=True)
class Segment(Namespace):
    """A namespace with the lab's network in it."""

    server: IPv4Interface
    """The server's address and the segment's prefix length."""

    @classmethod
    def of(cls, lab: Lab) -> Segment:
        """The segment that lab.yaml describes."""
        return cls(str(lab.name), IPv4Interface(f"{lab.network.server}/{lab.network.subnet.prefixlen}"))

    def links(self) -> set[str]:
        """The names of its network interfaces."""
        listed = run.run(["ip", "-n", self.netns, "-j", "link", "show"]).stdout
        return {entry["ifname"] for entry in json.loads(listed)}

    def up(self) -> None:
        """Make the namespace, its bridge and the server's address, as far as they are missing."""
        if not self.exists():
            run.run(["ip", "netns", "add", self.netns])
        self._ip("link", "set", "lo", "up")
        if BRIDGE not in self.links():
            # No spanning tree and no learning delay: firmware asks for an address at once. An address of its own,
            # because a bridge otherwise takes the lowest of its ports' and changes it when a machine goes.
            self._ip("link", "add", BRIDGE, "address", _mac_for(self.server), "type", "bridge", "forward_delay", "0")
        self._ip("address", "replace", str(self.server), "brd", "+", "dev", BRIDGE)
        self._ip("link", "set", BRIDGE, "up")

    def tap(self, mac: Mac) -> str:
        """Make a machine's port, if it is missing, and return its name."""
        name = tap_name(mac)
        if name not in self.links():
            self._ip("tuntap", "add", "dev", name, "mode", "tap")
        self._ip("link", "set", name, "master", BRIDGE, "up")
        return name

    def _ip(self, *words: str) -> None:
        run.run(["ip", "-n", self.netns, *words])


def _mac_for(address: IPv4Interface) -> str:
    """A locally administered MAC (RFC 7042 section 2.1) that follows from the address."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in address.packed)
