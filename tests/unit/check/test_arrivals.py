"""What is made of a room that is heard, and which mode suits it."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.check import arrivals, dhcp, offers
from nodisk.check.arrivals import Room
from nodisk.check.dhcp import Offer
from nodisk.spec.model import DhcpMode
from nodisk.values import Mac

OWN, SERVER = Mac(0x525400000001), IPv4Address("10.77.0.1")
M1, M2 = Mac(0x8CEC4B000001), Mac(0x8CEC4B000002)


def room() -> Room:
    return Room(frozenset({OWN}), SERVER)


def offer(server: str = "10.77.0.5", address: str = "10.77.0.50", **more: Any) -> Offer:
    return Offer(IPv4Address(server), IPv4Address(address), **more)


def test_machines_come_once_in_their_order() -> None:
    heard = room()
    taken = [heard.take(dhcp.discover(mac, number)) for number, mac in enumerate((M2, OWN, M1, M2))]
    assert [one and one.mac for one in taken] == [M2, None, M1, None]
    assert list(heard.machines) == [M2, M1]


def test_invented_machines_are_bounded() -> None:
    heard = room()
    for number in range(arrivals.MOST + 10):
        heard.take(dhcp.discover(Mac(0x8CEC4C000000 + number), 1))
        heard.note(M1, offer(address=str(IPv4Address(0x0A4E0000 + number))))
    assert len(heard.machines) == arrivals.MOST
    assert len(heard.answers[M1]) == arrivals.MOST_ANSWERS


@given(st.lists(st.binary(max_size=400) | st.just(dhcp.discover(M1, 1)), max_size=20))
def test_whatever_is_heard(packets: list[bytes]) -> None:
    heard = room()
    for packet in packets:
        heard.take(packet)
    assert heard.mode()[0] is DhcpMode.FULL


def test_its_own_answers_count_for_nothing() -> None:
    heard = room()
    heard.note(M1, offer(str(SERVER), "10.77.0.12", boot_file="undionly.kpxe"))
    assert heard.mode()[0] is DhcpMode.FULL
    heard.note(M1, offer())
    assert heard.mode()[0] is DhcpMode.PROXY


@pytest.mark.parametrize(
    ("answers", "mode", "why"),
    [
        ([], DhcpMode.FULL, "no DHCP server answered"),
        ([offer(address="0.0.0.0")], DhcpMode.FULL, "turn off 10.77.0.5 (another PXE server)"),
        ([offer()], DhcpMode.PROXY, "10.77.0.5 gives addresses, and nobody says what to boot"),
        ([offer(), offer("10.77.0.6")], DhcpMode.PROXY, "10.77.0.5, 10.77.0.6 give addresses, and nobody"),
        ([offer(boot_file="pxelinux.0")], DhcpMode.NONE, "10.77.0.5 (pxelinux.0) tells machines what to boot"),
        ([offer(vendor_class="PXEClient")], DhcpMode.NONE, "10.77.0.5 (option 60) tells"),
        ([offer(), offer("10.77.0.6", "0.0.0.0")], DhcpMode.NONE, "10.77.0.6 (another PXE server) tells"),
        # It says so to UEFI alone.
        ([offer(), offer(boot_file="a.efi"), offer()], DhcpMode.NONE, "(a.efi)"),
    ],
)
def test_the_mode(answers: list[Offer], mode: DhcpMode, why: str) -> None:
    found, said = offers.suits(answers)
    assert found is mode
    assert why in said
