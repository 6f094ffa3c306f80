"""dnsmasq's configuration: DHCP or proxyDHCP, TFTP for iPXE alone, the lab's names.

Who gets which boot file (option 93, RFC 4578 and IANA's list of processor architectures):

====================  =====================  ==========================================
what asks             option 93              gets
====================  =====================  ==========================================
BIOS                  0                      undionly.kpxe by TFTP
UEFI x86-64           7, 9                   snponly.efi or shimx64.efi by TFTP
UEFI x86-64, HTTP     16                     the same from http://SERVER/ipxe/
UEFI arm64            11                     ipxe-arm64.efi by TFTP, which says that there is no image
iPXE (option 175)     any                    http://SERVER/boot.ipxe
all others            6, 15, 19, none        an address and no program; an event says which it is (server.logs)
====================  =====================  ==========================================

No option says whether Secure Boot is on. So lab.yaml says who gets shim, which loads GRUB from the same place: the
whole room, with the machines that it doesn't know, or single ones by their MAC.

Option 60 goes only to firmware that boots by HTTP,
which insists on it; a UEFI that boots by PXE takes it for an order to ask port 4011, where full DHCP has no answer.

dnsmasq tells most fields of an option by what they look like: ``12`` is a time to live in ``host-record``, and ``7d``,
``infinite`` and ``ignore`` mean something in ``dhcp-host``. So every name is written with its final dot, as DNS itself
writes one that is complete; dnsmasq takes it for a name and for nothing else, and drops the dot.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Address

from nodisk.plan.daemons import Host
from nodisk.spec.model import DhcpMode, Lab

UEFI_ARCHITECTURES = (7, 9)
PROGRAMS = (0, *UEFI_ARCHITECTURES, 16)
"""Architectures for which there is a program that leads to Linux."""
ARM64 = 11
LEASE = "12h"
UNKNOWN_LEASE = "5m"
"""A machine that lab.yaml doesn't know keeps its address only as long as it shows its menu."""


def domain(lab: Lab) -> str:
    """The lab's DNS domain; ``internal`` is reserved for private use."""
    return f"{lab.name}.internal"


def dnsmasq(lab: Lab, host: Host) -> str:
    """The configuration file for ``dnsmasq --conf-file``."""
    lines = [*_general(lab, host), "", *_names(lab), "", *_tftp(host)]
    if lab.network.dhcp is DhcpMode.FULL:
        lines += ["", *_full(lab, host)]
    elif lab.network.dhcp is DhcpMode.PROXY:
        lines += ["", *_proxy(lab, host)]
    return "\n".join((*lines, ""))


def _general(lab: Lab, host: Host) -> Iterator[str]:
    yield "keep-in-foreground"
    yield "log-facility=-"
    yield f"pid-file={host.run / 'dnsmasq.pid'}"
    yield f"user={host.dns_user}"
    yield f"interface={host.interface}"
    yield "except-interface=lo"
    yield "bind-interfaces"
    yield f"listen-address={lab.network.server}" if lab.network.dhcp is DhcpMode.NONE else "# DHCP needs the whole NIC"


def _names(lab: Lab) -> Iterator[str]:
    yield "no-hosts"
    yield "no-resolv"
    yield "no-poll"
    yield "domain-needed"
    yield "bogus-priv"
    yield from (f"server={address}" for address in lab.network.dns if address != lab.network.server)
    yield f"domain={domain(lab)}"
    yield f"local=/{domain(lab)}/"
    names = {str(machine.name): machine.address for machine in lab.machines}
    names.setdefault("server", lab.network.server)
    for name, address in names.items():
        yield f"host-record={name}.,{name}.{domain(lab)}.,{address}"


def _tftp(host: Host) -> Iterator[str]:
    yield "enable-tftp"
    yield f"tftp-root={host.tftp}"


def _tags() -> Iterator[str]:
    yield "dhcp-match=set:ipxe,175"
    yield "dhcp-match=set:bios,option:client-arch,0"
    yield from (f"dhcp-match=set:uefi,option:client-arch,{number}" for number in UEFI_ARCHITECTURES)
    yield f"dhcp-match=set:arm64,option:client-arch,{ARM64}"


def _full(lab: Lab, host: Host) -> Iterator[str]:
    server = lab.network.server
    yield "log-dhcp"
    yield "dhcp-authoritative"
    yield f"dhcp-leasefile={host.data / 'dnsmasq.leases'}"
    # Firmware, iPXE and Linux call themselves differently; the NIC is what they have in common.
    yield "dhcp-ignore-clid"
    yield "dhcp-ignore-names=tag:!known"
    netmask = lab.network.subnet.netmask
    if free := free_range(lab):
        yield f"dhcp-range={free[0]},{free[1]},{netmask},{UNKNOWN_LEASE}"
    else:
        yield f"dhcp-range={lab.network.subnet.network_address},static,{netmask},{LEASE}"
    for machine in lab.machines:
        yield f"dhcp-host={machine.mac},{machine.address},{machine.name}.,{LEASE}"
    yield f"dhcp-option=option:router,{lab.network.gateway}" if lab.network.gateway else "dhcp-option=option:router"
    yield f"dhcp-option=option:dns-server,{server}"
    yield f"dhcp-option=option:ntp-server,{server}"
    yield from _tags()
    yield "dhcp-match=set:uefihttp,option:client-arch,16"
    yield from _exceptions(lab)
    yield f"dhcp-boot=tag:ipxe,http://{server}/boot.ipxe"
    yield f"dhcp-boot=tag:!ipxe,tag:bios,{host.bios},,{server}"
    yield f"dhcp-boot=tag:!ipxe,tag:arm64,{host.arm64},,{server}"
    for tags, program in _uefi_programs(lab, host):
        yield f"dhcp-boot=tag:!ipxe,tag:uefi,{tags}{program},,{server}"
        yield f"dhcp-boot=tag:!ipxe,tag:uefihttp,{tags}http://{server}/ipxe/{program}"
    yield "dhcp-option-force=tag:!ipxe,tag:uefihttp,60,HTTPClient"


def _proxy(lab: Lab, host: Host) -> Iterator[str]:
    yield "log-dhcp"
    yield f"dhcp-range={lab.network.subnet.network_address},proxy,{lab.network.subnet.netmask}"
    yield from _tags()
    yield from _exceptions(lab)
    # iPXE takes a boot file from a proxy only together with a next server (its dhcp.c, dhcp_has_pxeopts).
    yield f"dhcp-boot=tag:ipxe,http://{lab.network.server}/boot.ipxe,,{lab.network.server}"
    yield f"pxe-service=tag:!ipxe,0,nodisk,{host.bios}"
    yield f"pxe-service=tag:!ipxe,{ARM64},nodisk,{host.arm64}"
    for tags, program in _uefi_programs(lab, host):
        yield from (f"pxe-service=tag:!ipxe,{tags}{number},nodisk,{program}" for number in UEFI_ARCHITECTURES)


def _exceptions(lab: Lab) -> Iterator[str]:
    """Tag the machines that get another program by UEFI than the rest of the room."""
    for machine in lab.machines:
        if lab.signed_loader(machine) is not lab.secure_boot:
            yield f"dhcp-mac=set:exception,{machine.mac}"


def _uefi_programs(lab: Lab, host: Host) -> Iterator[tuple[str, str]]:
    """Further tags (with a final comma) of a machine with UEFI, and the program that goes with them."""
    programs = (host.signed, host.uefi) if lab.secure_boot else (host.uefi, host.signed)
    if any(_exceptions(lab)):
        yield "tag:!exception,", programs[0]
        yield "tag:exception,", programs[1]
    else:
        yield "", programs[0]


def free_range(lab: Lab) -> tuple[IPv4Address, IPv4Address] | None:
    """The longest run of addresses of the subnet that lab.yaml gives to nobody; None if there is none.

    For machines that it doesn't know: they need one to show their menu.
    """
    subnet = lab.network.subnet
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    named = [lab.network.server, lab.network.gateway, *lab.network.dns, *(m.address for m in lab.machines)]
    taken = sorted({first, last, *(int(address) for address in named if address and address in subnet)})
    length, start = max(((after - before - 1, before + 1) for before, after in itertools.pairwise(taken)))
    return (IPv4Address(start), IPv4Address(start + length - 1)) if length > 0 else None
