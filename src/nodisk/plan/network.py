"""Address ranges and URLs that all other texts share."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from nodisk import ports
from nodisk.spec.model import Lab, Machine
from nodisk.spec.once import once
from nodisk.values import Mac, Role

CLUSTER_DOMAIN = "cluster.local"
POD_PREFIX = 24
"""Every machine's pod range is a /24: 254 pods are more than kubelet's limit of 110 (kubelet's ``maxPods``)."""
MAX_ROUTES = 256
"""The largest subnet, in addresses, in which machines have routes for all of them."""


@once
def pod_ranges(lab: Lab) -> dict[Mac, IPv4Network]:
    """Every machine's pod range: the n-th /24 of ``kubernetes.pods`` for the n-th address of the subnet.

    So adding a machine to lab.yaml moves no other machine's range. If the subnet has more addresses than there are
    ranges, two machines may map to the same one: the later one in the file then gets the next free range.

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

    In a subnet of at most a /24 also of machines that are not in lab.yaml yet: the range follows from the address
    alone, so a running machine already has a route to one that is added later.
    """
    return ((pods, address) for address, pods in ranges_by_address(lab).items() if address != machine.address)


@once
def ranges_by_address(lab: Lab) -> dict[IPv4Address, IPv4Network]:
    """Of all machines, those of ``other_ranges`` and the one itself; in the order of its subnet, or of lab.yaml."""
    subnet = lab.network.subnet
    if subnet.num_addresses <= min(_ranges(lab), MAX_ROUTES):
        never = (lab.network.server, lab.network.gateway)
        return {one: _range(lab, _place(lab, one)) for one in subnet.hosts() if one not in never}
    ranges = pod_ranges(lab)
    return {machine.address: ranges[machine.mac] for machine in lab.machines}


def _ranges(lab: Lab) -> int:
    """How many there are."""
    return 1 << (POD_PREFIX - lab.kubernetes.pods.prefixlen) if lab.kubernetes.pods.prefixlen <= POD_PREFIX else 0


def _place(lab: Lab, address: IPv4Address) -> int:
    return int(address) - int(lab.network.subnet.network_address)


def _range(lab: Lab, place: int) -> IPv4Network:
    return IPv4Network((int(lab.kubernetes.pods.network_address) + (place << (32 - POD_PREFIX)), POD_PREFIX))


def dns_service(lab: Lab) -> IPv4Address:
    """The address of the cluster's DNS: the tenth, as in kubeadm."""
    return lab.kubernetes.services.network_address + 10


def api_url(lab: Lab, machine: Machine | None = None) -> str:
    """The API's URL for a machine: a control-plane machine uses its own API server, all others the lab's address."""
    if machine is not None and machine.role is Role.CONTROL_PLANE:
        return f"https://{machine.address}:{ports.API}"
    return f"https://{lab.network.server}:{ports.API}"


def resolvers(lab: Lab) -> tuple[IPv4Address, ...]:
    """DNS servers of a machine: the lab's server (it knows the lab's names and asks the room's), then the room's own.

    At most three: the C library reads no more, and kubelet warns about every pod with more (resolv.conf(5), MAXNS).
    """
    return (lab.network.server, *(one for one in lab.network.dns if one != lab.network.server))[:3]


def server_url(lab: Lab) -> str:
    """The server's plain HTTP root, without a final slash."""
    return f"http://{lab.network.server}"
