"""Who is switched on in a room, from what is heard of DHCP. Pure: packets in, machines in their order out.

Anybody on the wire can make up machines, so their number is bounded, and what they say is shown and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from nodisk.check import dhcp, offers
from nodisk.check.dhcp import Offer, Request
from nodisk.spec.model import DhcpMode
from nodisk.values import Mac

MOST = 1000
"""Machines that are counted."""
MOST_ANSWERS = 1000
"""Different answers of servers that are kept."""


@dataclass(slots=True)
class Room:
    """What has been heard so far."""

    own: frozenset[Mac]
    """This host's MACs, and those that it makes up for its questions: no machines."""
    server: IPv4Address
    """This host's address: what a nodisk that runs here answers counts for nothing."""
    machines: dict[Mac, Request] = field(default_factory=dict)
    """Those that boot from the network, as they first asked, in this order."""
    others: set[Mac] = field(default_factory=set)
    """Those that asked for an address and not for a boot."""
    answers: dict[Mac, list[Offer]] = field(default_factory=dict)
    """What servers answered, by the MAC that asked."""
    relays: set[str] = field(default_factory=set)
    """DHCP relays on the segment."""

    def take(self, packet: bytes) -> Request | None:
        """Read an IPv4 packet; a machine is returned when it boots for the first time."""
        if (answer := dhcp.heard(packet)) is not None:
            self.note(*answer)
            return None
        asked = dhcp.request(packet)
        if asked is None or asked.mac in self.own:
            return None
        if asked.relay and len(self.relays) < MOST:
            self.relays.add(asked.relay)
        if not asked.boots:
            if asked.mac not in self.machines and len(self.others) < MOST:
                self.others.add(asked.mac)
            return None
        self.others.discard(asked.mac)
        if asked.mac in self.machines or len(self.machines) >= MOST:
            return None
        self.machines[asked.mac] = asked
        return asked

    def note(self, mac: Mac, answer: Offer) -> None:
        """Note what a server answered."""
        if answer.server == self.server:
            return
        there = self.answers.setdefault(mac, [])
        if answer not in there and sum(map(len, self.answers.values())) < MOST_ANSWERS:
            there.append(answer)

    def mode(self) -> tuple[DhcpMode, str]:
        """The ``network.dhcp`` that suits this room, and why."""
        return offers.suits([one for found in self.answers.values() for one in found])
