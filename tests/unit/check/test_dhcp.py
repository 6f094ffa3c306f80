"""The DHCP codec and what is concluded from answers."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.check import dhcp
from nodisk.check.dhcp import Offer
from nodisk.check.findings import Level, worst
from nodisk.check.offers import STRANGERS, judge, strangers
from nodisk.spec.load import parse
from nodisk.spec.model import DhcpMode, Lab
from nodisk.values import Mac

MAC = Mac.parse("52:54:00:00:00:99")


def answer(
    *,
    kind: int = 2,
    mac: Mac = MAC,
    transaction: int = 7,
    address: str = "10.77.0.50",
    file: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """An IPv4 packet as a DHCP server at 10.77.0.5 sends it."""
    octets = [IPv4Address(text).packed for text in ("0.0.0.0", address, "0.0.0.0", "0.0.0.0")]
    message = struct.pack(
        "!BBBBIHH4s4s4s4s16s64s128s", 2, 1, 6, 0, transaction, 0, 0, *octets, mac.value.to_bytes(6, "big"), b"", file
    )
    message += b"\x63\x82\x53\x63" + bytes([53, 1, kind, 54, 4, 10, 77, 0, 5]) + more + b"\xff"
    udp = struct.pack("!HHHH", 67, 68, 8 + len(message), 0) + message
    source = IPv4Address("10.77.0.5").packed
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, b"\xff" * 4) + udp


@given(st.integers(1, 2**48 - 1).filter(lambda n: not n >> 40 & 1), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_discover_is_a_packet_that_a_server_reads(number: int, transaction: int) -> None:
    packet = dhcp.discover(Mac(number), transaction)
    assert packet[0] == 0x45
    assert dhcp.checksum(packet[:20]) == 0
    assert struct.unpack_from("!H", packet, 2)[0] == len(packet)
    assert (packet[12:16], packet[16:20]) == (bytes(4), b"\xff" * 4)
    assert struct.unpack_from("!HHH", packet, 20) == (68, 67, len(packet) - 20)
    message = packet[28:]
    assert struct.unpack_from("!BBBBIHH", message) == (1, 1, 6, 0, transaction, 0, 0x8000)
    assert message[28:34] == number.to_bytes(6, "big")
    assert len(message) >= 300
    found = dhcp.options(message[240:])
    assert found[53] == b"\1"
    assert found[60].startswith(b"PXEClient")


def test_an_offer_is_read() -> None:
    more = bytes([60, 9]) + b"PXEClient" + bytes([67, 6]) + b"theirs" + bytes([66, 4]) + b"tftp"
    assert dhcp.offer(answer(more=more), MAC, 7) == Offer(
        IPv4Address("10.77.0.5"), IPv4Address("10.77.0.50"), "PXEClient", "theirs", "tftp"
    )
    plain = dhcp.offer(answer(file=b"in-the-field\0rest"), MAC, 7)
    assert plain is not None
    assert (plain.boot_file, plain.vendor_class) == ("in-the-field", "")


@pytest.mark.parametrize(
    "packet",
    [
        answer(transaction=8),
        answer(mac=Mac.parse("52:54:00:00:00:98")),
        answer(kind=6),  # a NAK
        dhcp.discover(MAC, 7),
        b"",
        answer()[:200],
        b"\x60" + answer()[1:],
    ],
)
def test_what_is_no_offer_to_us(packet: bytes) -> None:
    assert dhcp.offer(packet, MAC, 7) is None


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_packet_is_survived(data: bytes) -> None:
    assert dhcp.offer(data, MAC, 7) is None
    assert dhcp.heard(data) is None
    assert dhcp.request(data) is None


@given(st.integers(0, 327), st.binary(min_size=1, max_size=60))
@settings(max_examples=300)
def test_any_question_is_survived(at: int, noise: bytes) -> None:
    packet = dhcp.discover(MAC, 7)
    found = dhcp.request(packet[:at] + noise + packet[at + len(noise) :])
    if found is not None:
        assert found.vendor_class.isprintable()
        assert found.firmware


def test_a_question_is_read() -> None:
    assert dhcp.request(answer()) is None
    bios, uefi = dhcp.request(dhcp.discover(MAC, 7)), dhcp.request(dhcp.discover(MAC, 7, IPv4Address("10.77.0.9")))
    assert bios
    assert uefi
    assert (bios.mac, bios.architecture, bios.firmware, bios.boots, bios.relay) == (MAC, 0, "BIOS", True, "")
    assert (uefi.firmware, uefi.vendor_class) == ("UEFI", "PXEClient:Arch:00007:UNDI:003016")
    assert dhcp.Request(MAC, "PXEClient").firmware == "no architecture named"
    assert dhcp.Request(MAC, "PXEClient").boots
    assert not dhcp.Request(MAC, "android-dhcp-14").boots
    assert dhcp.Request(MAC, ipxe=True).firmware == "iPXE"
    assert dhcp.Request(MAC, architecture=77).firmware == "architecture 77"


def test_an_offer_to_anybody_is_heard() -> None:
    assert dhcp.heard(answer()) == (MAC, Offer(IPv4Address("10.77.0.5"), IPv4Address("10.77.0.50")))
    assert dhcp.heard(dhcp.discover(MAC, 7)) is None


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_options_are_survived(data: bytes) -> None:
    found = dhcp.offer(answer(more=data), MAC, 7)
    # Whatever follows, the options before it stand, unless they are given again.
    assert found is None or found.address == IPv4Address("10.77.0.50")
    if found is not None:
        assert found.boot_file.isprintable()


@given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=255)), max_size=6))
@settings(max_examples=100)
def test_options_round_trip(items: list[tuple[int, bytes]]) -> None:
    joined: dict[int, bytes] = {}
    for code, value in items:
        joined[code] = joined.get(code, b"") + value
    assert dhcp.options(b"".join(bytes([code, len(value)]) + value for code, value in items) + b"\xff\1\1\1") == joined


def lab(mode: DhcpMode) -> Lab:
    return parse(TEN_LINES.replace("10.77.0.1}", f"10.77.0.1, dhcp: {mode}}}"), file="x")


def offer(server: str = "10.77.0.5", address: str = "10.77.0.50", **more: Any) -> Offer:
    return Offer(IPv4Address(server), IPv4Address(address), **more)


CP1, W1 = Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02")
KNOWN = {CP1: [offer(address="10.77.0.11")], W1: [offer(address="10.77.0.12")]}


@pytest.mark.parametrize(
    ("mode", "offers", "level", "said"),
    [
        (DhcpMode.FULL, {MAC: [], W1: []}, Level.OK, "no other server answers"),
        (DhcpMode.FULL, {MAC: [], W1: [offer("10.77.0.1", "10.77.0.12")]}, Level.OK, "no other server answers"),
        (DhcpMode.FULL, {MAC: [offer()]}, Level.ERROR, "10.77.0.5 offers 10.77.0.50"),
        (DhcpMode.FULL, {MAC: [], W1: [offer()]}, Level.ERROR, "10.77.0.5 offers 10.77.0.50"),
        (DhcpMode.FULL, {MAC: [offer(address="0.0.0.0")]}, Level.ERROR, "10.77.0.5 is a proxyDHCP server"),
        (DhcpMode.PROXY, {MAC: [offer()], **KNOWN}, Level.OK, "the room's server 10.77.0.5"),
        (DhcpMode.PROXY, {MAC: [], **KNOWN}, Level.OK, "the room's server 10.77.0.5"),
        (DhcpMode.PROXY, {MAC: []}, Level.WARNING, "no DHCP server answers"),
        (DhcpMode.PROXY, {MAC: [offer()], CP1: KNOWN[CP1]}, Level.WARNING, "no address for w1"),
        (DhcpMode.PROXY, {**KNOWN, W1: [offer()]}, Level.OK, "takes lab.yaml's by itself: w1 10.77.0.50"),
        (DhcpMode.NONE, {**KNOWN, W1: [offer()]}, Level.OK, "takes lab.yaml's by itself: w1 10.77.0.50"),
        (DhcpMode.NONE, {**KNOWN, W1: [offer(address="10.78.0.5")]}, Level.ERROR, "w1 10.78.0.5, which is outside"),
        (
            DhcpMode.PROXY,  # between what strangers are offered, and not offered to its own machine
            {MAC: [offer(address="10.77.0.2")], CP1: KNOWN[CP1], W1: [offer(address="10.77.0.90")]},
            Level.WARNING,
            "in its pool, for others too: 10.77.0.12 (w1)",
        ),
        (
            DhcpMode.PROXY,
            {**KNOWN, MAC: [offer(), offer("10.77.0.6", "0.0.0.0", vendor_class="PXEClient")]},
            Level.WARNING,
            "10.77.0.6 is another PXE server",
        ),
        (DhcpMode.NONE, {**KNOWN, MAC: [offer(relay="10.77.0.254")]}, Level.OK, "through the relay 10.77.0.254"),
        (
            DhcpMode.PROXY,
            {**KNOWN, MAC: [offer(address="10.77.0.11")]},
            Level.WARNING,
            "in its pool, for others too: 10.77.0.11 (cp1)",
        ),
        (
            DhcpMode.PROXY,
            {**KNOWN, MAC: [offer(vendor_class="PXEClient")]},
            Level.WARNING,
            "its own boot options (option 60)",
        ),
        (DhcpMode.NONE, {**KNOWN, MAC: [offer(boot_file="undionly.kpxe")]}, Level.OK, "boot file undionly.kpxe"),
        (DhcpMode.NONE, {}, Level.WARNING, "with `dhcp: none` nodisk assigns no addresses"),
    ],
)
def test_judgement(mode: DhcpMode, offers: dict[Mac, list[Offer]], level: Level, said: str) -> None:
    found = judge(lab(mode), offers)
    assert worst(found) is level, found
    assert any(said in finding.message for finding in found), found


@given(st.lists(st.integers(2, 4000), min_size=1, max_size=40, unique=True))
@settings(max_examples=50)
def test_a_few_strangers_ask_for_addresses_of_the_lab(places: list[int]) -> None:
    machines = [
        {
            "name": f"w{place}",
            "mac": f"52:54:00:00:{place >> 8:02x}:{place & 255:02x}",
            "address": str(IPv4Address("10.77.0.0") + place),
        }
        for place in places
    ]
    room = Lab.model_validate(
        {"name": "room", "network": {"subnet": "10.77.0.0/20", "server": "10.77.0.1"}, "machines": machines}
    )
    found = strangers(room)
    addresses = sorted(machine.address for machine in room.machines)
    assert len(found) == min(STRANGERS, len(addresses))
    assert set(found.values()) <= set(addresses)
    assert {addresses[0], addresses[-1]} <= set(found.values())
    assert not any(room.by_mac(mac) for mac in found)


def test_a_wish_is_in_the_packet() -> None:
    message = dhcp.discover(MAC, 7, IPv4Address("10.77.0.12"))[28:]
    assert dhcp.options(message[240:])[50] == IPv4Address("10.77.0.12").packed


def test_the_mode_that_suits_a_room() -> None:
    [plain] = judge(lab(DhcpMode.FULL), {MAC: [offer()]})
    assert "`dhcp: proxy`" in plain.hint
    [boots] = judge(lab(DhcpMode.FULL), {MAC: [offer(boot_file="theirs.0"), offer(address="10.77.0.51")]})
    assert "`dhcp: none` and paste `nodisk dhcp-snippet`" in boots.hint
    [nobody] = judge(lab(DhcpMode.PROXY), {MAC: []})
    assert "`dhcp: full`" in nobody.hint


def test_a_windows_deployment_server_is_told_by_its_options() -> None:
    wds = dhcp.heard(answer(more=bytes([60, 9]) + b"PXEClient" + bytes([43, 4, 6, 1, 11, 255])))
    assert wds
    assert wds[1].menu
    found = judge(lab(DhcpMode.PROXY), {**KNOWN, MAC: [wds[1]]})
    assert any("10.77.0.5 sends its own boot options (options 43 and 60)" in one.message for one in found)


def test_port_4011_and_relays() -> None:
    boots = {IPv4Address("10.77.0.1"): "ours", IPv4Address("10.77.0.5"): "theirs"}
    found = judge(lab(DhcpMode.FULL), {}, boots, {"10.77.0.254"})
    assert [one.level for one in found] == [Level.OK, Level.WARNING, Level.WARNING]
    assert found[1].message == "10.77.0.5 answers on port 4011 as a PXE boot server, with theirs"
    assert found[2].message.startswith("the DHCP relay 10.77.0.254 passes requests on")


def test_another_machines_address() -> None:
    found = judge(lab(DhcpMode.PROXY), {CP1: [offer(address="10.77.0.12")], W1: KNOWN[W1]})
    assert worst(found) is Level.WARNING
    assert "10.77.0.5 gives cp1 10.77.0.12, the address of w1" in [one.message for one in found]


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_any_boot_answer_is_survived(data: bytes) -> None:
    server = IPv4Address("10.77.0.5")
    assert dhcp.boot_answer(data, server, MAC, 7) is None
    found = dhcp.boot_answer(answer(kind=5, more=data)[28:], server, MAC, 7)
    assert found is None or found.boot_file.isprintable()
