"""Which address range, which URL: what every other text agrees on."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from nodisk import ports
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac, Role

POD_PREFIX = 24
"""Every machine's pod range is a /24: 254 pods are more than kubelet's limit of 110 (kubelet's ``maxPods``)."""
MAX_ROUTES = 256
"""So many addresses a subnet may have for its machines to know the way to all of them."""


def pod_ranges(lab: Lab) -> dict[Mac, IPv4Network]:
    """Every machine's pod range: the n-th /24 of ``kubernetes.pods`` for the n-th address of the subnet.

    So a machine that is added to lab.yaml moves no other's. Where the subnet has more addresses than there are ranges,
    two machines may want the same one: then the later of the file gets the next that is free.

    Raises IndexError if there are fewer ranges than machines (spec.rules refuses such a lab).
    """
    found: dict[Mac, IPv4Network] = {}
    taken: set[int] = set()
    count = _ranges(lab)
    for machine in lab.machines:
        if len(taken) == count:
            raise IndexError(f"{lab.kubernetes.pods} has no free /{POD_PREFIX} for {machine.name}")
        place = _place(lab, machine.address) % count
        while place in taken:
            place = (place + 1) % count
        taken.add(place)
        found[machine.mac] = _range(lab, place)
    return found


def pod_range(lab: Lab, machine: Machine) -> IPv4Network:
    """One machine's."""
    return pod_ranges(lab)[machine.mac]


def other_ranges(lab: Lab, machine: Machine) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    """Pod range and address of every other machine: this machine's routes.

    In a subnet of at most a /24 also of those that are not in lab.yaml yet: where the range follows from the address
    alone, a machine that runs knows the way to one that is added later, and asks nobody.
    """
    subnet = lab.network.subnet
    if subnet.num_addresses <= min(_ranges(lab), MAX_ROUTES):
        never = (machine.address, lab.network.server, lab.network.gateway)
        for address in subnet.hosts():
            if address not in never:
                yield _range(lab, _place(lab, address)), address
        return
    ranges = pod_ranges(lab)
    for other in lab.machines:
        if other.mac != machine.mac:
            yield ranges[other.mac], other.address


def _ranges(lab: Lab) -> int:
    """How many there are."""
    return 1 << (POD_PREFIX - lab.kubernetes.pods.prefixlen) if lab.kubernetes.pods.prefixlen <= POD_PREFIX else 0


def _place(lab: Lab, address: IPv4Address) -> int:
    return int(address) - int(lab.network.subnet.network_address)


def _range(lab: Lab, place: int) -> IPv4Network:
    return IPv4Network((int(lab.kubernetes.pods.network_address) + (place << (32 - POD_PREFIX)), POD_PREFIX))


def dns_service(lab: Lab) -> IPv4Address:
    """The cluster DNS' address: the tenth, as kubeadm has it."""
    return lab.kubernetes.services.network_address + 10


def api_url(lab: Lab, machine: Machine | None = None) -> str:
    """Where the API is reached: by a control-plane machine its own server, by all others the lab's address."""
    if machine is not None and machine.role is Role.CONTROL_PLANE:
        return f"https://{machine.address}:{ports.API}"
    return f"https://{lab.network.server}:{ports.API}"


def resolvers(lab: Lab) -> tuple[IPv4Address, ...]:
    """DNS servers of a machine: the lab's server (it knows the lab's names and asks the room's), then the room's own.

    Three at most: the C library reads no more, and kubelet warns about every pod otherwise (resolv.conf(5), MAXNS).
    """
    return (lab.network.server, *(one for one in lab.network.dns if one != lab.network.server))[:3]


def server_url(lab: Lab) -> str:
    """The server's plain HTTP root, without a final slash."""
    return f"http://{lab.network.server}"
