"""What NetworkPolicies allow, as one nftables table a node. Pure.

A node holds rules for its own pods only: what arrives at them and what they send. Each side of a connection is decided
on its own node, and both must allow it. A table has

- a map from each own pod's address to the chain of the policies that select it, for each direction, so that a packet
  costs one look-up whatever the number of pods;
- a chain a policy and direction, shared by the pods that it selects, and a set for each group of peers, shared by the
  policies that mean the same ones.

It works on forwarded packets, which a bridge's are too (``bridge-nf-call-iptables``): what a node itself sends to its
pods (kubelet's probes) and what pods send to their own node isn't forwarded, and is allowed, as Kubernetes wants it.
Answers and related messages pass. What is refused is dropped without a word.

nft(8), version 1.0.6 or later.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from nodisk.plan.policies import LAST_PORT, Block, Cluster, Peer, Pod, Policy, Port, Rule, Selector, selects

TABLE = "nodisk-policies"
_LONGEST_COMMENT = 120

Addresses = frozenset[int]
"""As numbers: thousands of IPv4Address are slow to hash and to sort."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What one rule allows, as far as it is the same on every node."""

    peers: Addresses
    """Pods on the other side."""
    others: tuple[str, ...]
    """Matches of what else is there; the empty one matches everybody."""
    matches: tuple[str, ...]
    """Of the ports; the empty one matches everything."""
    named: tuple[Port, ...]
    """Ingress: ports by name, which each node resolves for its own pods."""
    ends: tuple[str, ...]
    """Egress: the same, resolved for the pods on the other side."""


def closed(pods: IPv4Network) -> str:
    """The table of a node that has not heard from the server in this boot: its pods, in this range, have no traffic."""
    return _table(
        f"""\
	chain closed {{
		type filter hook forward priority -6; policy accept;
		ip saddr {pods} counter drop comment "no rules have come from the server yet"
		ip daddr {pods} counter drop comment "no rules have come from the server yet"
	}}
"""
    )


def absent() -> str:
    """What takes a table away, there or not, for ``nft -f``: nobody enforces policies by rules from the server."""
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n"


def compile_nodes(cluster: Cluster, ranges: Mapping[str, IPv4Network], bridge: str) -> dict[str, str]:
    """Node → its whole table, for ``nft -f``: it replaces the table that is there, in one step.

    ``ranges``: each node's pods' addresses; ``bridge``: the interface of its pods.
    """
    found = _Compiler(cluster)
    return {node: found.node(node, pods, bridge) for node, pods in ranges.items()}


@dataclass(slots=True)
class _Compiler:
    """What all nodes share: which pods a policy selects, and whom a peer means."""

    cluster: Cluster
    _by_namespace: dict[str, list[Pod]] = field(init=False)
    _by_node: dict[str, list[Pod]] = field(init=False)
    _by_port: dict[tuple[str | None, str], list[tuple[int, int]]] = field(init=False)
    _policies: list[Policy] = field(init=False)
    _selected: dict[int, list[int]] = field(init=False)
    """Address → the policies that select its pod."""
    _peers: dict[tuple[str | None, Peer], Addresses] = field(default_factory=dict)
    _allowed: dict[tuple[int, bool], list[_Allowed]] = field(default_factory=dict)
    _texts: dict[Addresses, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._policies = sorted(self.cluster.policies, key=lambda one: (one.namespace, one.name))
        self._by_namespace, self._by_node, self._by_port = defaultdict(list), defaultdict(list), defaultdict(list)
        # Only those that a policy asks for: a pod may have thousands of ports with names.
        egress = (rule for policy in self._policies for rule in policy.rules(ingress=False) or ())
        named = {port.name for rule in egress for port in rule.ports or () if port.name is not None}
        for pod in sorted(one_each(self.cluster.pods), key=lambda pod: int(pod.address)):
            self._by_namespace[pod.namespace].append(pod)
            self._by_node[pod.node].append(pod)
            for name, protocol, number in pod.ports:
                if name in named:
                    self._by_port[name, protocol].append((int(pod.address), number))
        self._selected = defaultdict(list)
        for number, policy in enumerate(self._policies):
            for pod in self._by_namespace.get(policy.namespace, ()):
                if selects(policy.pods, pod.labels):
                    self._selected[int(pod.address)].append(number)

    def node(self, node: str, pods: IPv4Network, bridge: str) -> str:
        """One node's table."""
        own = [pod for pod in self._by_node.get(node, ()) if pod.address in pods]
        sets: dict[Addresses, str] = {}
        egress, out = self._direction(own, sets, ingress=False)
        ingress, into = self._direction(own, sets, ingress=True)
        itself = _elements(f"{pod.address} . {pod.address}" for pod in own)
        # Without any policy nobody can be waiting for one, and a pod has its traffic from the first moment.
        unknown = 'counter drop comment "a pod of which the server has not told"' if self._policies else "accept"
        return _table(
            "".join(f"\tset {name} {{\n\t\ttype ipv4_addr\n{self._text(one)}\t}}\n" for one, name in sets.items())
            + f"""\
{out}{into}\
	set itself {{
		type ipv4_addr . ipv4_addr
{itself}	}}
	map egress {{
		type ipv4_addr : verdict
{egress}	}}
	map ingress {{
		type ipv4_addr : verdict
{ingress}	}}
	chain from-pods {{
		type filter hook forward priority -6; policy accept;
		iifname "{bridge}" ip saddr != {pods} counter drop comment "a pod that pretends to be elsewhere"
		ct state established,related accept
		ip saddr . ip daddr @itself accept
		ip saddr vmap @egress
		ip saddr {pods} {unknown}
	}}
	chain to-pods {{
		type filter hook forward priority -5; policy accept;
		ct state established,related accept
		ip saddr . ip daddr @itself accept
		ip daddr vmap @ingress
		ip daddr {pods} {unknown}
	}}
"""
        )

    def _direction(self, own: Sequence[Pod], sets: dict[Addresses, str], *, ingress: bool) -> tuple[str, str]:
        """The map's elements and the chains of one direction; ``sets`` gets the groups of peers that they name."""
        way = "in" if ingress else "out"
        groups: dict[tuple[int, ...], list[Pod]] = defaultdict(list)
        for pod in own:
            by = self._selected.get(int(pod.address), ())
            groups[tuple(one for one in by if self._policies[one].rules(ingress=ingress) is not None)].append(pod)
        selected: dict[int, list[Pod]] = defaultdict(list)
        verdicts: list[str] = []
        ends = ""
        for number, (group, members) in enumerate(sorted(groups.items())):
            verdict = f"goto {way}{number}" if group else "accept"
            verdicts += [f"{pod.address} : {verdict}" for pod in members]
            for one in group:
                selected[one] += members
            if group:
                jumps = "".join(
                    f"\t\tjump {way}-policy{one} comment {_comment(self._policies[one])}\n" for one in group
                )
                ends += f"\tchain {way}{number} {{\n{jumps}\t\tcounter drop\n\t}}\n"
        chains = ""
        for one, members in sorted(selected.items()):
            lines = "".join(f"\t\t{line}accept\n" for line in self._lines(one, members, sets, ingress=ingress))
            chains += f"\tchain {way}-policy{one} {{\n{lines}\t}}\n"
        return _elements(verdicts), chains + ends

    def _lines(
        self, number: int, members: Sequence[Pod], sets: dict[Addresses, str], *, ingress: bool
    ) -> Iterator[str]:
        """What a policy allows ``members``, in one direction."""
        if (number, ingress) not in self._allowed:
            self._allowed[number, ingress] = list(self._rules(self._policies[number], ingress=ingress))
        for rule in self._allowed[number, ingress]:
            others = rule.others
            if rule.peers:
                name = sets.setdefault(rule.peers, f"peers{len(sets)}")
                others = (f"{_side(ingress)} @{name} ", *others)
            named = (_ends(port.protocol, _own(members, port)) for port in rule.named)
            yield from (other + match for other in others for match in (*rule.matches, *filter(None, named)))
            yield from rule.ends

    def _rules(self, policy: Policy, *, ingress: bool) -> Iterator[_Allowed]:
        for rule in policy.rules(ingress=ingress) or ():
            ports = rule.ports
            named = tuple(port for port in ports or () if port.name is not None)
            peers = [self._peer(policy.namespace, one) for one in rule.peers or () if isinstance(one, Peer)]
            together: Addresses = frozenset().union(*peers)
            there = () if ingress else ((port.protocol, self._there(port, together, rule)) for port in named)
            yield _Allowed(
                together,
                ("",) if rule.peers is None else tuple(_blocks(rule.peers, _side(ingress))),
                ("",) if ports is None else tuple(_ports(port for port in ports if port.name is None)),
                named if ingress else (),
                tuple(_ends(protocol, ends) for protocol, ends in there if ends),
            )

    def _there(self, port: Port, peers: Addresses, rule: Rule) -> list[tuple[int, int]]:
        """Where pods on the other side of a rule have a port of that name."""
        ends = self._by_port.get((port.name, port.protocol), [])
        if rule.peers is None:
            return ends
        blocks = [one for one in rule.peers if isinstance(one, Block)]
        return [end for end in ends if end[0] in peers or (blocks and _inside(IPv4Address(end[0]), blocks))]

    def _peer(self, namespace: str, peer: Peer) -> Addresses:
        key = (namespace if peer.namespaces is None else None, peer)
        if key not in self._peers:
            where = [namespace] if peer.namespaces is None else self._namespaces(peer.namespaces)
            pods = [pod for one in where for pod in self._by_namespace.get(one, ())]
            self._peers[key] = frozenset(int(pod.address) for pod in pods if selects(peer.pods, pod.labels))
        return self._peers[key]

    def _namespaces(self, selector: Selector) -> list[str]:
        return [name for name, labels in self.cluster.namespaces.items() if selects(selector, labels)]

    def _text(self, addresses: Addresses) -> str:
        if addresses not in self._texts:
            self._texts[addresses] = _elements(str(IPv4Address(one)) for one in sorted(addresses))
        return self._texts[addresses]


def _side(ingress: bool) -> str:
    """The match of who is on the other side."""
    return "ip saddr" if ingress else "ip daddr"


def one_each(pods: Iterable[Pod]) -> Iterable[Pod]:
    """One pod per address: if two pods have the same one, the pod that is going, or is older, no longer counts."""
    found: dict[int, Pod] = {}
    for pod in pods:
        there = found.get(int(pod.address))
        if there is None or _age(there) < _age(pod):
            found[int(pod.address)] = pod
    return found.values()


def _age(pod: Pod) -> tuple[bool, str, str, str]:
    return (not pod.leaving, pod.born, pod.namespace, pod.name)


def _own(members: Sequence[Pod], port: Port) -> list[tuple[int, int]]:
    """Where these pods have a port of that name: the address and the number of each."""
    wanted = (port.name, port.protocol)
    return [(int(pod.address), port[2]) for pod in members for port in pod.ports if port[:2] == wanted]


def _inside(address: IPv4Address, blocks: Iterable[Block]) -> bool:
    return any(address in one.network and not any(address in out for out in one.without) for one in blocks)


def _ends(protocol: str, ends: Iterable[tuple[int, int]]) -> str:
    """A match of these addresses' ports; empty: there are none."""
    listed = ", ".join(f"{IPv4Address(address)} . {number}" for address, number in sorted(set(ends)))
    return f"ip daddr . {protocol.lower()} dport {{ {listed} }} " if listed else ""


def _blocks(peers: Iterable[Peer | Block], side: str) -> Iterator[str]:
    for block in peers:
        if not isinstance(block, Block) or any(block.network.subnet_of(out) for out in block.without):
            continue
        inside = f"{side} {block.network} " if block.network.prefixlen else ""
        without = ", ".join(map(str, collapse_addresses(block.without)))
        yield inside + (f"{side} != {{ {without} }} " if without else "")


def _ports(ports: Iterable[Port]) -> Iterator[str]:
    """One match a protocol; ranges that meet are one, for nft refuses those that overlap."""
    ranges: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for port in ports:
        ranges[port.protocol].append((port.first, port.last))
    for protocol, found in sorted(ranges.items()):
        joined: list[tuple[int, int]] = []
        for first, last in sorted(found):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        if joined == [(0, LAST_PORT)]:
            yield f"meta l4proto {protocol.lower()} "
        else:
            listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in joined)
            yield f"{protocol.lower()} dport {{ {listed} }} "


def _elements(elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"\t\telements = {{ {listed} }}\n" if listed else ""


def _comment(policy: Policy) -> str:
    """Names are the API's, which allows no quotes; still nothing else ends up in a ruleset."""
    return '"' + re.sub(r"[^a-z0-9./-]", "?", f"{policy.namespace}/{policy.name}")[:_LONGEST_COMMENT] + '"'


def _table(inside: str) -> str:
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{inside}}}\n"
