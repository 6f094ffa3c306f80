"""Lines of the daemons' logs, as dnsmasq 2.90 and nginx 1.22 wrote them."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.server.logs import DhcpLog, Fetch, Lease, fetch
from nodisk.values import Mac

W1 = Mac.parse("52:54:00:99:00:21")
PXE = "dnsmasq-dhcp[2]: 2846503193 vendor class: PXEClient:Arch:00000:UNDI:002001"
ACK = "dnsmasq-dhcp[2]: 2846503193 DHCPACK(lan) 10.99.0.21 52:54:00:99:00:21 w1"


def test_firmware() -> None:
    log = DhcpLog()
    lines = [
        "dnsmasq-dhcp[2]: 2846503193 available DHCP range: 10.99.0.34 -- 10.99.0.254",
        PXE,
        "dnsmasq-dhcp[2]: 2846503193 DHCPDISCOVER(lan) 52:54:00:99:00:21",
        "dnsmasq-dhcp[2]: 2846503193 DHCPOFFER(lan) 10.99.0.21 52:54:00:99:00:21",
        PXE,
        "dnsmasq-dhcp[2]: 2846503193 DHCPREQUEST(lan) 10.99.0.21 52:54:00:99:00:21",
    ]
    assert [log.read(line) for line in lines] == [None] * 6
    assert log.read(ACK) == Lease(W1, IPv4Address("10.99.0.21"), "firmware")
    assert log.read(ACK) is None, "each reply counts once"


@pytest.mark.parametrize(
    ("vendor", "what"),
    [
        ("PXEClient:Arch:00011:UNDI:003000", "image (architecture 11, UEFI on 64-bit ARM)"),
        ("HTTPClient:Arch:00019:UNDI:003000", "program (architecture 19, UEFI on 64-bit ARM by HTTP)"),
        ("PXEClient:Arch:00006:UNDI:003016", "program (architecture 6, UEFI on 32-bit x86)"),
        ("PXEClient:Arch:00041:UNDI:003016", "program (architecture 41, unknown)"),
        ("PXEClient", "program (no architecture named)"),
    ],
)
def test_firmware_that_gets_no_program_is_seen_when_it_asks(vendor: str, what: str) -> None:
    """It may never ask for the address that it is offered without one."""
    log = DhcpLog()
    ask = "dnsmasq-dhcp[2]: 77 DHCPDISCOVER(lan) 52:54:00:99:00:21"
    assert log.read(f"dnsmasq-dhcp[2]: 77 vendor class: {vendor}") is None
    assert log.read(ask) == Lease(W1, None, f"firmware for which there is no {what}")
    assert log.read(ask) is None
    for line in (f"dnsmasq-dhcp[2]: 77 vendor class: {vendor}", "dnsmasq-dhcp[2]: 77 user class: iPXE", ask):
        assert log.read(line) is None, "iPXE is its own program"


def test_ipxe_says_both_and_counts_as_ipxe() -> None:
    log = DhcpLog()
    for line in (PXE, "dnsmasq-dhcp[2]: 2846503193 user class: iPXE"):
        assert log.read(line) is None
    found = log.read(ACK)
    assert found is not None
    assert found.by == "iPXE"


def test_an_ordinary_client() -> None:
    log = DhcpLog()
    assert log.read("dnsmasq-dhcp[2]: 2846503193 vendor class: udhcp 1.35.0") is None
    assert log.read(ACK) is None


def test_proxy() -> None:
    log = DhcpLog()
    log.read(PXE)
    found = log.read("dnsmasq-dhcp[2]: 2846503193 PXE(lan) 52:54:00:99:00:21 proxy")
    assert found == Lease(W1, None, "firmware")


@given(st.lists(st.sampled_from([PXE, ACK, "x"]) | st.text(max_size=80), max_size=20))
def test_no_line_is_too_strange(lines: list[str]) -> None:
    log = DhcpLog()
    for line in lines:
        log.read(line)
        fetch(line)


def test_what_is_remembered_is_bounded() -> None:
    log = DhcpLog()
    for number in range(5000):
        log.read(f"dnsmasq-dhcp[2]: {number} vendor class: PXEClient")
    taken = [log.read(ACK.replace("2846503193", str(number))) for number in (0, 4743, 4744, 4999)]
    assert [one is not None for one in taken] == [False, False, True, True]


ENTRY = {
    "address": "10.99.0.21",
    "method": "GET",
    "uri": "/assets/ab/root.squashfs",
    "status": 206,
    "bytes": 5,
    "port": "80",
}


def test_a_fetch() -> None:
    assert fetch(json.dumps(ENTRY)) == Fetch(IPv4Address("10.99.0.21"), "root.squashfs", 5)
    layer = ENTRY | {"uri": "/v2/pause/blobs/x", "port": "5000", "status": 200}
    assert fetch(json.dumps(layer)) == Fetch(IPv4Address("10.99.0.21"), "registry", 5)


@pytest.mark.parametrize(
    "change",
    [
        {"status": 404},
        {"method": "HEAD"},
        {"uri": "/boot.ipxe"},
        {"address": "unix:"},
        {"address": None},
        {"bytes": "x"},
    ],
)
def test_what_is_no_fetch(change: dict[str, object]) -> None:
    assert fetch(json.dumps(ENTRY | change)) is None
