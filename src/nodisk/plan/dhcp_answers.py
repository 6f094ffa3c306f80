"""Which boot file a room's DHCP server has to give to whom: the table that every snippet says in its own language."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from nodisk.plan import network
from nodisk.plan.daemons import Host
from nodisk.plan.daemons_dnsmasq import ARM64, UEFI_ARCHITECTURES
from nodisk.spec.model import DhcpMode, Lab
from nodisk.values import Mac

IPXE_OPTION = 175
"""iPXE's own option: a client that sends it is iPXE already."""
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
    only: tuple[Mac, ...] = ()
    """These machines alone; empty: every one that is not in ``but``."""
    but: tuple[Mac, ...] = ()
    """These machines get another answer."""


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


def on(place: Host, lab: Lab, *, reservations: bool = False) -> Room:
    """The same with the programs of a host."""
    programs = {"bios": place.bios, "uefi": place.uefi, "signed": place.signed, "arm64": place.arm64}
    return room(lab, **programs, reservations=reservations)


def room(lab: Lab, *, bios: str, uefi: str, signed: str, arm64: str, reservations: bool) -> Room:
    """``bios``, ``uefi``, ``signed``, ``arm64``: the names of the programs, iPXE's and shim, as the server has them."""
    if lab.network.dhcp is not DhcpMode.NONE:
        return Room(lab, (), reservations)
    most, other = (signed, uefi) if lab.secure_boot else (uefi, signed)
    exceptions = tuple(one.mac for one in lab.machines if lab.signed_loader(one) is not lab.secure_boot)
    plain = [
        Answer("bios", "BIOS", (0,), bios),
        Answer("arm64", "UEFI on 64-bit ARM, which has no image", (ARM64,), arm64),
    ]
    answers = [*plain, *_uefi(lab, most, but=exceptions)]
    if exceptions:
        answers += _uefi(lab, other, only=exceptions)
    return Room(lab, tuple(answers), reservations)


def _uefi(lab: Lab, program: str, *, only: tuple[Mac, ...] = (), but: tuple[Mac, ...] = ()) -> list[Answer]:
    """Both ways by which UEFI asks; whether Secure Boot is on, no option says (see ``Lab.secure_boot``)."""
    more = "-exception" if only else ""
    url = f"{network.server_url(lab)}/ipxe/{program}"
    return [
        Answer(f"uefi{more}", "UEFI by TFTP", UEFI_ARCHITECTURES, program, only=only, but=but),
        Answer(f"http{more}", "UEFI by HTTP", (HTTP_ARCHITECTURE,), url, http=True, only=only, but=but),
    ]
