"""Wake-on-LAN: the packet, byte by byte."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from nodisk.errors import EnvironmentProblem
from nodisk.machines import wake
from nodisk.values import Mac


def test_the_packet() -> None:
    packet = wake.magic(Mac.parse("00:11:22:aa:bb:cc"))
    assert len(packet) == 102
    assert packet.hex() == "ff" * 6 + "001122aabbcc" * 16


def test_a_host_without_the_address_says_so() -> None:
    with pytest.raises(EnvironmentProblem, match=r"can't send from 192\.0\.2\.1 on lo"):
        wake.send([], server=IPv4Address("192.0.2.1"), subnet=IPv4Network("192.0.2.0/24"), interface="lo")
