"""Which port, which address range: the numbers that every other text agrees on."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from nodisk.spec.model import Lab, Machine
from nodisk.values import Role

HTTP = 80
DNS = 53
NTP = 123
ETCD = 2379
REGISTRY = 5000
API = 6443
ENROL = 6444
NFS = 2049

POD_TCP = (DNS, API)
POD_UDP = (DNS, NTP)
"""The ports of the server that pods may use. Its others are for machines, and so is whatever else its host serves."""

POD_PREFIX = 24
"""Every machine's pod range is a /24: 254 pods are more than kubelet's limit of 110 (kubelet's ``maxPods``)."""


def pod_range(lab: Lab, machine: Machine) -> IPv4Network:
    """The n-th /24 of ``kubernetes.pods`` for the n-th machine of the file.

    Raises IndexError if the range has no n-th /24 (spec.rules refuses such a lab).
    """
    place = [one.mac for one in lab.machines].index(machine.mac)
    pods = lab.kubernetes.pods
    first = int(pods.network_address) + (place << (32 - POD_PREFIX))
    found = IPv4Network((first, POD_PREFIX))
    if pods.prefixlen > POD_PREFIX or not found.subnet_of(pods):
        raise IndexError(f"{pods} has no /{POD_PREFIX} number {place + 1} for {machine.name}")
    return found


def other_ranges(lab: Lab, machine: Machine) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    """Pod range and address of every other machine: this machine's routes."""
    for other in lab.machines:
        if other.mac != machine.mac:
            yield pod_range(lab, other), other.address


def api_service(lab: Lab) -> IPv4Address:
    """The API's address inside the cluster: the first of the services' range (Kubernetes' own rule)."""
    return lab.kubernetes.services.network_address + 1


def dns_service(lab: Lab) -> IPv4Address:
    """The cluster DNS' address: the tenth, as kubeadm has it."""
    return lab.kubernetes.services.network_address + 10


def api_url(lab: Lab, machine: Machine | None = None) -> str:
    """Where the API is reached: by a control-plane machine its own server, by all others the lab's address."""
    if machine is not None and machine.role is Role.CONTROL_PLANE:
        return f"https://{machine.address}:{API}"
    return f"https://{lab.network.server}:{API}"


def resolvers(lab: Lab) -> tuple[IPv4Address, ...]:
    """DNS servers of a machine: the lab's server (it knows the lab's names and asks the room's), then the room's own.

    Three at most: the C library reads no more, and kubelet warns about every pod otherwise (resolv.conf(5), MAXNS).
    """
    return (lab.network.server, *(one for one in lab.network.dns if one != lab.network.server))[:3]


def server_url(lab: Lab) -> str:
    """The server's plain HTTP root, without a final slash."""
    return f"http://{lab.network.server}"
