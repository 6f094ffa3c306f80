"""Rules for the addresses of room and cluster: Lab in, findings out. ``spec.rules`` has the others, and runs all."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from nodisk.spec import syntax
from nodisk.spec.finding import Finding
from nodisk.spec.model import Lab
from nodisk.yamltree import Path

SUBNET: Path = ("network", "subnet")
SERVER: Path = ("network", "server")
GATEWAY: Path = ("network", "gateway")


def subnet(lab: Lab) -> Iterator[Finding]:
    """The subnet is usable for a room, and the server and gateway are in it."""
    net = lab.network.subnet
    if why := _odd(net):
        yield Finding(SUBNET, f"{net} {why}", "such as 10.77.0.0/24")
    for path, address in ((SERVER, lab.network.server), (GATEWAY, lab.network.gateway)):
        if address is not None:
            yield from _inside(net, address, path)


def addresses(lab: Lab) -> Iterator[Finding]:
    """Machines' addresses are in the subnet and nobody else's."""
    net = lab.network
    for index, machine in enumerate(lab.machines):
        path: Path = ("machines", index, "address")
        yield from _inside(net.subnet, machine.address, path)
        if machine.address == net.server:
            yield Finding(
                path, f"{machine.address} is the server's address", "choose an unused address", about=(SERVER,)
            )
        elif machine.address == net.gateway:
            yield Finding(
                path, f"{machine.address} is the gateway's address", "choose an unused address", about=(GATEWAY,)
            )


_SPECIAL = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")))
"""Not for ordinary addresses (RFC 6890): this network, loopback, link-local, multicast, reserved."""


def _special(net: IPv4Network) -> bool:
    return any(net.overlaps(special) for special in _SPECIAL)


def _odd(net: IPv4Network) -> str:
    """Why a room can't have such a subnet; '' if it can."""
    if net.prefixlen > 29:
        return "is too small for a room"
    return "is not a usable range for a room" if _special(net) else ""


def _inside(net: IPv4Network, address: IPv4Address, path: Path) -> Iterator[Finding]:
    if _odd(net):
        return  # then the subnet is what is wrong
    if address not in net:
        yield Finding(path, f"{address} is outside the subnet {net}", f"choose one in {_range(net)}", about=(SUBNET,))
    elif address == net.network_address:
        yield Finding(path, f"{address} is the subnet itself", f"choose one in {_range(net)}", about=(SUBNET,))
    elif address == net.broadcast_address:
        yield Finding(path, f"{address} is the broadcast address", f"choose one in {_range(net)}", about=(SUBNET,))


def _range(net: IPv4Network) -> str:
    return f"{net.network_address + 1} … {net.broadcast_address - 1}"


def dns(lab: Lab) -> Iterator[Finding]:
    """Resolvers read at most three servers, and kubelet warns about every pod with more."""
    if len(lab.network.dns) > 3:
        text = f"{len(lab.network.dns)} DNS servers: Linux asks only three"
        yield Finding(("network", "dns", 3), text, "keep the three best")
    for index, address in enumerate(lab.network.dns):
        if _special(IPv4Network(address)):
            text = f"{address} is not a usable DNS server address"
            yield Finding(
                ("network", "dns", index), text, "the room's or the provider's; absent: the lab's server alone"
            )


def reachable(lab: Lab) -> Iterator[Finding]:
    """Nothing outside the cluster has an address inside its ranges: machines would route it to a pod.

    The server's, the gateway's and the machines' addresses are in the subnet, which overlaps neither range.
    """
    named: list[tuple[Path, IPv4Address]] = [
        (("network", "dns", index), address) for index, address in enumerate(lab.network.dns)
    ]
    if (mirror := syntax.mirror_address(lab.os.mirror or "")) is not None:
        named.append((("os", "mirror"), mirror))
    ranges = (("pods", "pods'", lab.kubernetes.pods), ("services", "Services'", lab.kubernetes.services))
    for path, address in named:
        for key, whose, net in ranges:
            if address in net:
                about: Path = ("kubernetes", key)
                text = f"{address} is in the {whose} range {net}: no machine could reach it"
                hint = f"name one outside of the cluster, or choose another range: `kubernetes: {{{key}: …}}`"
                yield Finding(path, text, hint, about=(about,))


def interface(lab: Lab) -> Iterator[Finding]:
    """An interface's name is one that Linux and the daemons accept."""
    name = lab.network.interface
    if name is not None and not syntax.is_interface(name):
        text = f"{name!r} is not a valid network interface name"
        yield Finding(("network", "interface"), text, "list interfaces with `ip -brief link`")


def ranges(lab: Lab) -> Iterator[Finding]:
    """The room's, the pods' and the Services' addresses don't overlap."""
    pods, services = ("kubernetes", "pods"), ("kubernetes", "services")
    named: list[tuple[str, Path, IPv4Network]] = [
        ("the room's subnet", SUBNET, lab.network.subnet),
        ("the pods' range", pods, lab.kubernetes.pods),
        ("the Services' range", services, lab.kubernetes.services),
    ]
    for _, path, net in named[1:]:
        if _special(net):
            yield Finding(path, f"{net} is not a usable range for a cluster", "such as 10.244.0.0/16 and 10.96.0.0/16")
    for index, (_, path, net) in enumerate(named):
        for other_name, other, other_net in named[:index]:
            if net.overlaps(other_net):
                text = f"{net} overlaps {other_name} {other_net}"
                yield Finding(path, text, "choose a range that the room does not use", about=(other,))


def pods(lab: Lab) -> Iterator[Finding]:
    """Every machine gets a /24 for its pods."""
    net, wanted = lab.kubernetes.pods, len(lab.machines)
    room = 1 << max(24 - net.prefixlen, 0) if net.prefixlen <= 24 else 0
    if room < wanted:
        prefix = 24 - max(wanted - 1, 0).bit_length()
        text = f"{net} has room for {room} machines (a /24 each), but there are {wanted}"
        yield Finding(("kubernetes", "pods"), text, f"a /{prefix} or larger", about=(("machines",),))


def services(lab: Lab) -> Iterator[Finding]:
    """The API server accepts at most a /12 for Services; the cluster itself uses some addresses from the start."""
    net = lab.kubernetes.services
    if not 12 <= net.prefixlen <= 26:
        text = f"{net} has the wrong size for Services"
        yield Finding(("kubernetes", "services"), text, "from /12 to /26, such as 10.96.0.0/16")
