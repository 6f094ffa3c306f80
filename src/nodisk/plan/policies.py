"""NetworkPolicies, namespaces and pods of the API → values for ``policy_rules``. Pure.

Source: the API ``networking.k8s.io/v1`` and https://kubernetes.io/docs/concepts/services-networking/network-policies/.
A policy that this doesn't understand isolates its namespace and allows nothing: what is meant to restrict never opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Any

Object = Mapping[str, Any]
PROTOCOLS = ("TCP", "UDP", "SCTP")
LAST_PORT = 65535
APPLIED = "nodisk/policies-applied"
"""The annotation of a node that has its rules: the id of the boot in which it got them."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label must be."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it."""
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")


Selector = tuple[Requirement, ...]
"""All of them must hold: an empty one selects everything."""


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects what has these labels."""
    return all(one.holds(labels) for one in selector)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has an address of its own."""

    namespace: str
    name: str
    node: str
    address: IPv4Address
    labels: Mapping[str, str]
    ports: tuple[tuple[str, str, int], ...] = ()
    """Name, protocol and number of its named ports."""
    born: str = ""
    """When, as the API writes it: that sorts as text."""
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """Pods on the other side."""

    pods: Selector
    namespaces: Selector | None = None
    """None: in the policy's own namespace."""


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses on the other side."""

    network: IPv4Network
    without: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """Allowed ports of one protocol: a range, or a name that each pod has its own number for."""

    protocol: str
    first: int = 0
    last: int = LAST_PORT
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is allowed: every peer with every port."""

    peers: tuple[Peer | Block, ...] | None
    """None: everybody. Empty: nobody whom IPv4 can reach."""
    ports: tuple[Port, ...] | None
    """None: all ports, and the protocols that have none."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One NetworkPolicy. A direction that it doesn't restrict is None."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None

    def rules(self, *, ingress: bool) -> tuple[Rule, ...] | None:
        """Of one direction."""
        return self.ingress if ingress else self.egress


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that the rules follow from."""

    namespaces: Mapping[str, Mapping[str, str]]
    """Their labels."""
    pods: tuple[Pod, ...]
    policies: tuple[Policy, ...]


def pod_of(obj: Object) -> Pod | None:
    """A pod of the API. None: it has no address of its own, not yet or no longer, and policies don't mean it."""
    spec, status, meta = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed") or not spec.get("nodeName"):
        return None
    told = [status.get("podIP"), *(one.get("ip") for one in status.get("podIPs") or ())]
    addresses = [found for one in told if one and (found := _ipv4(one)) is not None]
    if not addresses:
        return None
    return Pod(
        meta["namespace"],
        meta["name"],
        spec["nodeName"],
        addresses[0],
        meta.get("labels") or {},
        tuple(
            (port["name"], port.get("protocol") or "TCP", int(port["containerPort"]))
            for container in spec.get("containers") or ()
            for port in container.get("ports") or ()
            if port.get("name")
        ),
        meta.get("creationTimestamp") or "",
        "deletionTimestamp" in meta,
    )


def policy_of(obj: Object) -> Policy:
    """A NetworkPolicy of the API; one with something unknown in it isolates all pods of its namespace."""
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    try:
        spec = obj.get("spec") or {}
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        return Policy(
            namespace,
            name,
            _selector(spec.get("podSelector") or {}),
            _rules(spec.get("ingress"), "from") if "Ingress" in types else None,
            _rules(spec.get("egress"), "to") if "Egress" in types else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Policy(namespace, name, (), (), ())


def _rules(rules: Iterable[Object] | None, side: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            tuple(found for one in rule[side] if (found := _peer(one)) is not None) if rule.get(side) else None,
            tuple(_port(one) for one in rule["ports"]) if rule.get("ports") else None,
        )
        for rule in rules or ()
    )


def _peer(peer: Object) -> Peer | Block | None:
    """None: a block of IPv6, which pods here don't have."""
    block, pods, namespaces = (peer.get(key) for key in ("ipBlock", "podSelector", "namespaceSelector"))
    if block is not None:
        network = _network(block["cidr"])
        without = [_network(one) for one in block.get("except") or ()]
        known = tuple(one for one in without if isinstance(one, IPv4Network))
        return Block(network, known) if isinstance(network, IPv4Network) else None
    if pods is None and namespaces is None:
        raise ValueError("a peer of a kind that is not known")
    return Peer(_selector(pods or {}), None if namespaces is None else _selector(namespaces))


def _port(port: Object) -> Port:
    protocol, number, end = port.get("protocol") or "TCP", port.get("port"), port.get("endPort")
    if protocol not in PROTOCOLS:
        raise ValueError("a protocol that is not known")
    if number is None:
        return Port(protocol)
    if isinstance(number, str):
        return Port(protocol, name=number)
    last = int(end or number)
    if not 0 < number <= last <= LAST_PORT:
        raise ValueError("a port that is none")
    return Port(protocol, number, last)


def _selector(selector: Object) -> Selector:
    found = [Requirement(key, "In", frozenset((value,))) for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        if one["operator"] not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError("an operator that is not known")
        found.append(Requirement(one["key"], one["operator"], frozenset(one.get("values") or ())))
    return tuple(sorted(found, key=lambda one: (one.key, one.operator, sorted(one.values))))


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None
