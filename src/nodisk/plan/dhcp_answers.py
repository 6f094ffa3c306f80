"""Which boot file a room's DHCP server has to give to whom: the table that every snippet says in its own language."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from nodisk.plan import network
from nodisk.plan.daemons_dnsmasq import UEFI_ARCHITECTURES
from nodisk.spec.model import DhcpMode, Lab

IPXE_OPTION = 175
"""iPXE's own option: whoever sends it is iPXE already."""
ARCHITECTURE_OPTION = 93
HTTP_ARCHITECTURE = 16
HTTP_CLIENT = "HTTPClient"
"""Option 60, without which UEFI's HTTP boot takes no answer (UEFI specification, HTTP boot)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What firmware of some kind gets."""

    name: str
    """One word: for classes and tags."""
    what: str
    """For people."""
    architectures: tuple[int, ...]
    """Its values of option 93 (RFC 4578; IANA, processor architecture types)."""
    file: str
    """The boot file: a name for TFTP, or a URL."""
    http: bool = False
    """It boots by HTTP: no TFTP server, and option 60 is ``HTTP_CLIENT``."""


@dataclass(frozen=True, slots=True)
class Room:
    """A lab as its room's DHCP server has to know it."""

    lab: Lab
    answers: tuple[Answer, ...]
    """Of firmware; empty where nodisk itself says what to boot."""
    reservations: bool
    """Whether to give every machine lab.yaml's address; else they take it by themselves."""

    @property
    def server(self) -> IPv4Address:
        """Who has the boot files."""
        return self.lab.network.server

    @property
    def script(self) -> str:
        """What iPXE gets."""
        return f"{network.server_url(self.lab)}/boot.ipxe"


def room(lab: Lab, *, bios: str, uefi: str, reservations: bool) -> Room:
    """``bios``, ``uefi``: the names of iPXE's programs, as the server has them."""
    answers = (
        Answer("bios", "BIOS", (0,), bios),
        Answer("uefi", "UEFI by TFTP", UEFI_ARCHITECTURES, uefi),
        Answer("http", "UEFI by HTTP", (HTTP_ARCHITECTURE,), f"{network.server_url(lab)}/ipxe/{uefi}", http=True),
    )
    return Room(lab, answers if lab.network.dhcp is DhcpMode.NONE else (), reservations)
