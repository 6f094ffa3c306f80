"""What to paste into a room's own DHCP server so that its machines boot from this lab: ISC dhcpd, Kea, dnsmasq.

Pure. With ``dhcp: none`` the room's server says what to boot, by the same table as nodisk's own (``daemons_dnsmasq``):
firmware gets iPXE, iPXE gets the script. With ``dhcp: proxy`` nodisk says that, and the room's server may know the
machines' addresses. It need not: a machine takes lab.yaml's address by itself.

``dhcp_snippets_others`` has the servers that can't be run where nodisk is tested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from nodisk.plan import dhcp_snippets_others as others
from nodisk.plan.dhcp_answers import ARCHITECTURE_OPTION, HTTP_CLIENT, IPXE_OPTION, Answer, Room
from nodisk.spec.model import DhcpMode
from nodisk.values import Mac


class Server(StrEnum):
    """Programs that give addresses in rooms."""

    ISC = "isc"
    KEA = "kea"
    DNSMASQ = "dnsmasq"
    WINDOWS = "windows"
    MIKROTIK = "mikrotik"
    OPENWRT = "openwrt"


RUN = frozenset({Server.ISC, Server.KEA, Server.DNSMASQ})
"""Those that nodisk's tests run with their snippet."""
SECOND_PART = "# 2."
"""How the line begins after which ISC dhcpd's snippet goes into the subnet's block."""


def snippet(room: Room, server: Server) -> str:
    """The text to paste; every line that is for people is a comment of the server's language (``#``)."""
    lines = [f"# {line}" if line else "#" for line in _heading(room, server)]
    if room.answers or room.reservations:
        lines += ["", *_RENDER[server](room)]
    return "\n".join((*lines, ""))


def _heading(room: Room, server: Server) -> Iterator[str]:
    lab, net = room.lab, room.lab.network
    yield f"nodisk: {lab.name}, {net.subnet}, served by {net.server} (dhcp: {net.dhcp})"
    if net.dhcp is DhcpMode.PROXY:
        yield "nodisk itself says what to boot: this server gives no boot file, next server or option 60."
    if server not in RUN and (room.answers or room.reservations):
        yield "NOT RUN: written from the vendor's documentation, never tried on such a server. Look before you paste."
    for answer in room.answers if server in others.NO_EXCEPTIONS else ():
        if answer.only:
            yield f"Add by hand: {answer.what}, {answer.file} for {', '.join(map(str, answer.only))} alone."
    if room.reservations:
        yield "The machines' addresses must not be in a pool that this server gives to others."
    elif room.answers:
        yield "Machines get any address of the subnet and take lab.yaml's by themselves: keep those out of the pool."
    else:
        yield "Nothing to paste: machines get any address of the subnet and take lab.yaml's by themselves."
        yield "Keep those out of this server's pool; --reservations prints them."


def _isc(room: Room) -> Iterator[str]:
    """ISC dhcpd (dhcpd.conf(5), dhcp-eval(5)); option definitions may stand at the top level only.

    An option is compared as its bytes: ``= 0`` would be one byte, and never true.
    """
    if room.answers:
        yield "# 1. Into dhcpd.conf, outside of every block:"
        yield f"option nodisk-ipxe code {IPXE_OPTION} = string;"
        yield f"option nodisk-architecture code {ARCHITECTURE_OPTION} = unsigned integer 16;"
    if room.reservations:
        yield "group {" if room.answers else "# Into dhcpd.conf, outside of every block:\ngroup {"
        for machine in room.lab.machines:
            yield f"  host nodisk-{room.lab.name}-{machine.name} {{"
            yield f"    hardware ethernet {machine.mac};"
            yield f"    fixed-address {machine.address};"
            yield f'    option host-name "{machine.name}";'
            yield "  }"
        yield "}"
    if room.answers:
        net = room.lab.network.subnet
        yield f"{SECOND_PART} Into the block `subnet {net.network_address} netmask {net.netmask} {{ … }}`:"
        yield "if exists nodisk-ipxe {"
        yield f'  filename "{room.script}";'
        for answer in room.answers:
            # hardware is the kind of network, 1 for Ethernet, and the MAC. dhcpd 4.4.3 reads no condition on after a
            # parenthesis with which it begins.
            whose = _whose(answer, lambda mac: f"hardware = 1:{mac}")
            asks = _either(answer, "option nodisk-architecture = {0[0]:02x}:{0[1]:02x}")
            yield f"}} elsif {f'exists nodisk-architecture and ({asks}){whose}' if whose else asks} {{"
            yield f"  # {answer.what}"
            if answer.http:
                yield f'  option vendor-class-identifier "{HTTP_CLIENT}";'
            else:
                yield f"  next-server {room.server};"
            yield f'  filename "{answer.file}";'
        yield "}"


def _either(answer: Answer, test: str) -> str:
    """``test`` for each of the answer's architectures, with their two bytes put in."""
    return " or ".join(test.format(number.to_bytes(2, "big")) for number in answer.architectures)


def _whose(answer: Answer, test: Callable[[Mac], str]) -> str:
    """What to add to a condition so that it is true for the answer's machines alone; ISC's words are Kea's."""
    found = " or ".join(test(mac) for mac in answer.only or answer.but)
    return f" and {'' if answer.only else 'not '}({found})" if found else ""


def _kea(room: Room) -> Iterator[str]:
    """Kea's DHCPv4 server (Kea's Administrator Reference Manual, "Client Classification").

    The classes count only in the subnet that requires them: a Kea serves other rooms too.
    """
    subnet: dict[str, Any] = {"subnet": str(room.lab.network.subnet)}
    classes = list(_kea_classes(room))
    found: dict[str, Any] = {"subnet4": [subnet]}
    if classes:
        found = {"client-classes": classes, **found}
        subnet["require-client-classes"] = [one["name"] for one in classes]
    if room.reservations:
        subnet["reservations"] = [
            {"hw-address": str(machine.mac), "ip-address": str(machine.address), "hostname": str(machine.name)}
            for machine in room.lab.machines
        ]
    yield "# Into kea-dhcp4.conf: what stands here in Dhcp4 into yours, what stands in the subnet into your subnet."
    yield "# Kea 3.0 says only-in-additional-list for only-if-required, and"
    yield "# evaluate-additional-classes for require-client-classes."
    yield json.dumps({"Dhcp4": found}, indent=2)


def _kea_classes(room: Room) -> Iterator[dict[str, Any]]:
    if not room.answers:
        return
    ipxe = f"option[{IPXE_OPTION}].exists"
    yield {"name": "nodisk-ipxe", "test": ipxe, "only-if-required": True, "boot-file-name": room.script}
    for answer in room.answers:
        test = _either(answer, f"option[{ARCHITECTURE_OPTION}].hex == 0x{{0[0]:02x}}{{0[1]:02x}}")
        found = {
            "name": f"nodisk-{answer.name}",
            "test": f"not {ipxe} and ({test})" + _whose(answer, lambda mac: f"pkt4.mac == 0x{mac.value:012x}"),
            "only-if-required": True,
            "boot-file-name": answer.file,
        }
        if answer.http:
            option = {"name": "vendor-class-identifier", "data": HTTP_CLIENT, "always-send": True}
            yield found | {"option-data": [option]}
        else:
            yield found | {"next-server": str(room.server)}


def _dnsmasq(room: Room) -> Iterator[str]:
    """A dnsmasq of the room's (dnsmasq(8)); names end in a dot, so that it takes none for a number or a time."""
    yield "# Into dnsmasq.conf, or into a file of dnsmasq.d:"
    yield from others.dnsmasq_lines(room)


_RENDER: dict[Server, Callable[[Room], Iterator[str]]] = {
    Server.ISC: _isc,
    Server.KEA: _kea,
    Server.DNSMASQ: _dnsmasq,
    Server.WINDOWS: others.windows,
    Server.MIKROTIK: others.mikrotik,
    Server.OPENWRT: others.openwrt,
}
