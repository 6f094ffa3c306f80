"""Zones of the cluster's names, as zone files (RFC 1035, section 5). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network

from nodisk.plan import network
from nodisk.plan.names import VERSION, Record
from nodisk.spec.model import Lab

PODS = f"pod.{network.CLUSTER_DOMAIN}"
"""Pods' own names: a zone of its own, for pods come and go more often than all others together."""
TTL = 5
"""Seconds for which others may keep an answer; as CoreDNS. The server's own resolver forgets it with each change."""


def zones(lab: Lab) -> tuple[str, ...]:
    """The zones, without the final dot: the cluster's domain, pods' own names, what Services' and pods' addresses are.

    An endpoint with another address (a machine's own) has no PTR record here: that name is the lab's to give.
    """
    ranges = (lab.kubernetes.services, lab.kubernetes.pods)
    return (network.CLUSTER_DOMAIN, PODS, *(zone for one in ranges for zone in reverse_zones(one)))


def reverse_zones(addresses: IPv4Network) -> tuple[str, ...]:
    """The zones below in-addr.arpa that cover a range exactly: it may begin and end within a byte."""
    whole = -(-max(addresses.prefixlen, 8) // 8)
    found = []
    for part in addresses.subnets(new_prefix=whole * 8):
        bytes_of = str(part.network_address).split(".")[:whole]
        found.append(".".join((*reversed(bytes_of), "in-addr.arpa")))
    return tuple(found)


def zone_of(name: str, zones: Collection[str]) -> str | None:
    """The zone that an absolute name is in."""
    rest = name.removesuffix(".")
    while rest:
        if rest in zones:
            return rest
        rest = rest.partition(".")[2]
    return None


def lines(records: Iterable[Record], zones: Collection[str]) -> dict[str, str]:
    """Zone → its lines of the zone file; records in none of the zones are left out."""
    found: dict[str, list[str]] = {}
    for record in records:
        if zone := zone_of(record.name, zones):
            found.setdefault(zone, []).append(f"{record.name} {TTL} IN {record.kind} {record.data}\n")
    return {zone: "".join(texts) for zone, texts in found.items()}


def zone_file(lab: Lab, zone: str, blocks: Iterable[str] = ()) -> str:
    """One zone's file; ``blocks``: lines of ``lines``.

    The serial stays: nobody transfers the zone, it is loaded from this file alone.
    """
    domain = network.CLUSTER_DOMAIN
    head = (
        f"; The cluster's names, by nodisk; Kubernetes DNS specification {VERSION}.\n"
        f"{zone}. {TTL} IN SOA ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 {TTL}\n"
        f"{zone}. {TTL} IN NS ns.dns.{domain}.\n"
    )
    if zone == domain:
        head += f"ns.dns.{domain}. {TTL} IN A {network.dns_service(lab)}\n"
        head += f'dns-version.{domain}. {TTL} IN TXT "{VERSION}"\n'
    return head + "".join(dict.fromkeys(blocks))  # pods of the host's network have their machine's address
