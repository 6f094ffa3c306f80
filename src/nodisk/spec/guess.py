"""Guess the network interface, subnet, address and gateway of a new lab.yaml from this host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from nodisk import run
from nodisk.errors import NodiskError
from nodisk.spec import syntax


@dataclass(frozen=True, slots=True)
class Guess:
    """The server's end of the room's segment."""

    subnet: IPv4Network
    server: IPv4Address
    interface: str | None = None
    """None: nothing was found, and the values are an example."""
    gateway: IPv4Address | None = None
    ssh_keys: tuple[str, ...] = ()


EXAMPLE = Guess(IPv4Network("10.77.0.0/24"), IPv4Address("10.77.0.1"))


def guess(*, home: Path | None = None, interface: str | None = None) -> Guess:
    """Ask ``ip`` and ~/.ssh; return an example where they say nothing useful. ``interface``: no other counts."""
    try:
        addresses = json.loads(run.run(["ip", "-json", "-4", "address", "show"], timeout=5).stdout or "[]")
        routes = json.loads(run.run(["ip", "-json", "-4", "route", "show", "default"], timeout=5).stdout or "[]")
    except (NodiskError, ValueError):
        addresses, routes = [], []
    found = from_ip([one for one in addresses if interface in (None, one.get("ifname"))], routes)
    keys = public_keys((home or Path.home()) / ".ssh")
    return Guess(found.subnet, found.server, found.interface, found.gateway, keys)


def from_ip(addresses: list[dict[str, Any]], routes: list[dict[str, Any]]) -> Guess:
    """Choose from the output of ``ip -json address`` and ``ip -json route show default``: the NIC with the default
    route, otherwise the first that is up and in a subnet large enough for a room."""
    gateways = {str(route.get("dev")): route.get("gateway") for route in reversed(routes)}
    usable = [found for link in addresses for found in _usable(link)]
    usable.sort(key=lambda found: found[0] not in gateways)
    if not usable:
        return EXAMPLE
    name, address = usable[0]
    gateway = gateways.get(name)
    inside = IPv4Address(gateway) if gateway and IPv4Address(gateway) in address.network else None
    return Guess(address.network, address.ip, name, inside if inside != address.ip else None)


def _usable(link: dict[str, Any]) -> list[tuple[str, IPv4Interface]]:
    name, flags = str(link.get("ifname", "")), link.get("flags", [])
    if "UP" not in flags or "LOOPBACK" in flags or "POINTOPOINT" in flags or not syntax.is_interface(name):
        return []
    found = []
    for item in link.get("addr_info", []):
        if item.get("family") == "inet" and item.get("scope") == "global":
            address = IPv4Interface(f"{item['local']}/{item['prefixlen']}")
            # A room's subnet holds the server, a gateway and a machine or two, and is no whole continent.
            if 8 <= address.network.prefixlen <= 28 and not address.is_link_local:
                found.append((name, address))
    return found


def public_keys(folder: Path) -> tuple[str, ...]:
    """The public keys in ~/.ssh of types that SSH still accepts."""
    keys = []
    try:
        for path in sorted(folder.glob("id_*.pub")):
            line = path.read_text(encoding="utf-8", errors="replace").strip()
            if syntax.ssh_key(line) is None and line.isprintable():
                keys.append(line)
    except OSError:
        pass  # a home that can't be read has no keys for us
    return tuple(keys)
