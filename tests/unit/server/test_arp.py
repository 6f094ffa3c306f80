"""The ARP codec: what is asked, and what counts as an answer."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.server import arp
from nodisk.values import Mac

ADDRESS = IPv4Address("10.77.0.21")
SENDER = bytes.fromhex("020000000001")


def reply(*, kind: int = 2, address: IPv4Address = ADDRESS, sender: bytes = SENDER, more: bytes = b"") -> bytes:
    """A reply as Linux sends it, padded to Ethernet's least."""
    fields = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, kind, sender, address.packed, bytes(6), bytes(4))
    return fields + bytes(18) + more


def test_a_probe_names_no_sender() -> None:
    packet = arp.probe(SENDER, ADDRESS)
    assert packet.hex() == "0001080006040001" + SENDER.hex() + "00000000" + "000000000000" + ADDRESS.packed.hex()


def test_a_reply() -> None:
    assert arp.holder(reply(), ADDRESS) == Mac.parse("02:00:00:00:00:01")
    # A load balancer's group address is a holder too.
    assert str(arp.holder(reply(sender=bytes.fromhex("03bf0a4d000a")), ADDRESS)) == "03:bf:0a:4d:00:0a"


@pytest.mark.parametrize(
    "packet",
    [reply(kind=1), reply(address=IPv4Address("10.77.0.22")), b"", reply()[:27], b"\0\6" + reply()[2:]],
)
def test_what_is_no_reply_about_it(packet: bytes) -> None:
    assert arp.holder(packet, ADDRESS) is None


@given(st.binary(max_size=80))
def test_any_packet_is_survived(data: bytes) -> None:
    assert arp.holder(data, ADDRESS) is None
