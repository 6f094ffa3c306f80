"""What the answers to DHCPDISCOVERs mean for a lab. Pure: offers in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from types import MappingProxyType

from nodisk.check.dhcp import Offer
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.spec.model import DhcpMode, Lab, Machine
from nodisk.values import Mac

NAME = "dhcp"
STRANGERS = 8
"""So many made-up MACs ask for addresses of lab.yaml: some servers keep what they offer from others for minutes."""
_NONE = IPv4Address("0.0.0.0")  # noqa: S104 - what a proxyDHCP server "offers"
_STRANGER = 0x026E64 << 24
"""The first half of a made-up MAC: locally administered (RFC 7042 section 2.1)."""
OWN = _STRANGER | 0xFFFFFF
"""Another one, which asks as UEFI what this host's NIC asks as BIOS."""


def strangers(lab: Lab) -> dict[Mac, IPv4Address]:
    """MACs that no NIC has, and the address of lab.yaml for which each is to ask: spread over all of them.

    A server that has the address free in a pool offers it. The MACs are the same each time, so that servers that
    remember whom they offered something have no more to remember.
    """
    addresses = sorted(machine.address for machine in lab.machines)
    count = min(STRANGERS, len(addresses))
    chosen = {addresses[round(number * (len(addresses) - 1) / max(count - 1, 1))] for number in range(count)}
    return {Mac(_STRANGER | int(address) & 0xFFFFFF): address for address in sorted(chosen)}


def judge(
    lab: Lab,
    offers: Mapping[Mac, Sequence[Offer]],
    boots: Mapping[IPv4Address, str] = MappingProxyType({}),
    relays: Collection[str] = (),
) -> list[Finding]:
    """What it means, by the MAC asked for: the lab's machines' and strangers'.

    ``boots``: what servers named on port 4011, the file or ''. ``relays``: DHCP relays that asked on this segment. What
    the lab's own server answers doesn't count.
    """
    return [*_judge(lab, offers), *_ports_4011(lab, boots), *_relays(relays)]


def _ports_4011(lab: Lab, boots: Mapping[IPv4Address, str]) -> Iterator[Finding]:
    for server, file in sorted(boots.items()):
        if server != lab.network.server:
            text = f"{server} answers on port 4011 as a PXE boot server{f', with {file}' if file else ''}"
            yield warning(NAME, text, "firmware that is sent there boots from it: turn it off, or set `dhcp: none`")


def _relays(relays: Collection[str]) -> Iterator[Finding]:
    for relay in sorted(relays):
        text = f"the DHCP relay {relay} passes requests on: the server behind it may answer the machines too"
        yield warning(NAME, text, "have it relay to no boot server but this one, or turn it off for this segment")


def _judge(lab: Lab, offers: Mapping[Mac, Sequence[Offer]]) -> list[Finding]:
    mode = lab.network.dhcp
    given = {mac: [one for one in found if one.server != lab.network.server] for mac, found in offers.items()}
    # Of a server's answers the one that says most of booting: it may say that to UEFI alone.
    offered = sorted((one for found in given.values() for one in found), key=lambda one: bool(_boots(one)))
    by_server = {one.server: one for one in offered}
    givers = {one.server: one for one in offered if one.address != _NONE}
    if mode is DhcpMode.FULL:
        if not by_server:
            return [ok(NAME, "no other server answers; nodisk assigns the addresses")]
        return [error(NAME, f"another DHCP server answers: {_show(one)}", _beside(one)) for one in by_server.values()]
    if not givers:
        text = f"no DHCP server answers, and with `dhcp: {mode}` nodisk assigns no addresses"
        hint = "check that the room's DHCP server is running and knows these machines; if it has none: `dhcp: full`"
        return [warning(NAME, text, hint)]
    findings = [ok(NAME, f"the room's server {_show(one)}") for one in givers.values()]
    findings += _addresses(lab, given)
    for server in givers:
        findings += _pool(lab, server, given)
    for one in by_server.values() if mode is DhcpMode.PROXY else []:
        findings += _boot_options(one)
    return findings


def suits(answers: Sequence[Offer]) -> tuple[DhcpMode, str]:
    """The mode that suits a room whose servers answer so, and why, for people. nodisk's own answers don't belong in."""
    givers = {one.server: one for one in sorted(answers, key=lambda one: bool(_boots(one))) if one.address != _NONE}
    proxies = {one.server for one in answers if one.address == _NONE} - set(givers)
    booting = [f"{one.server} ({_boots(one)})" for one in givers.values() if _boots(one)]
    booting += [f"{server} (another PXE server)" for server in sorted(proxies)]
    if not givers:
        beside = f"; turn off {', '.join(booting)}, or the faster answer wins" if booting else ""
        return DhcpMode.FULL, f"no DHCP server answered: nodisk gives the addresses{beside}"
    who = ", ".join(str(server) for server in sorted(givers))
    give = "gives" if len(givers) == 1 else "give"
    if booting:
        boots = f"{', '.join(booting)} {'tells' if len(booting) == 1 else 'tell'} machines what to boot"
        return DhcpMode.NONE, f"{who} {give} addresses, and {boots}: paste `nodisk dhcp-snippet` there"
    return DhcpMode.PROXY, f"{who} {give} addresses, and nobody says what to boot: nodisk does that part alone"


def _boots(one: Offer) -> str:
    """What it says of booting; '' for nothing."""
    pxe = one.vendor_class.startswith("PXEClient")
    return one.boot_file or ("" if not pxe else "options 43 and 60" if one.menu else "option 60")


def _beside(one: Offer) -> str:
    """Which mode suits a room with such a server."""
    if _boots(one):
        return "turn it off on this segment, or set `dhcp: none` and paste `nodisk dhcp-snippet` into it"
    return "turn it off on this segment, or set `dhcp: proxy` to work alongside it"


def _boot_options(one: Offer) -> Iterator[Finding]:
    """What a server says of booting gets in the way of nodisk's proxyDHCP."""
    if one.address == _NONE:
        text = f"{one.server} is another PXE server (proxyDHCP): firmware takes the answer of the faster one"
        yield warning(NAME, text, "turn it off on this segment, or set `dhcp: none` and chain to nodisk from it")
    elif says := _boots(one):
        text = f"{one.server} sends its own boot options ({says})"
        hint = "remove the boot file and option 60 there, or set `dhcp: none` and paste `nodisk dhcp-snippet` into it"
        yield warning(NAME, text, hint)


def _addresses(lab: Lab, given: Mapping[Mac, Sequence[Offer]]) -> Iterator[Finding]:
    """A machine needs an address of the subnet; if it is not lab.yaml's, it takes that by itself.

    Another machine's address in a pool is no good: until the machine takes its own, the two share it.
    """
    silent, pooled = list[str](), list[str]()
    owners = {machine.address: machine for machine in lab.machines}
    for machine in lab.machines:
        offers = [one for one in given.get(machine.mac, ()) if one.address != _NONE]
        for one in offers:
            if one.address not in lab.network.subnet:
                text = f"{one.server} gives {machine.name} {one.address}, which is outside of the subnet"
                hint = f"have it give {machine.mac} an address of {lab.network.subnet}, or correct network.subnet"
                yield error(NAME, text, hint)
            elif (owner := owners.get(one.address, machine)) is not machine:
                text = f"{one.server} gives {machine.name} {one.address}, the address of {owner.name}"
                hint = f"have it give {machine.mac} {machine.address}, or an address that nobody in lab.yaml has"
                yield warning(NAME, text, hint)
            elif one.address != machine.address:
                pooled.append(f"{machine.name} {one.address}")
        if not offers:
            silent.append(str(machine.name))
    if pooled:
        yield ok(NAME, f"gets an address of a pool, and takes lab.yaml's by itself: {_few(pooled)}")
    if silent:
        hint = "add their MAC addresses to the room's DHCP server, or have it serve any"
        yield warning(NAME, f"no address for {', '.join(silent)}", hint)


def _pool(lab: Lab, server: IPv4Address, given: Mapping[Mac, Sequence[Offer]]) -> Iterator[Finding]:
    """Addresses of lab.yaml that a server seems to have in a pool.

    It offered one of them to somebody else, or it offers addresses below and above, and not this one to its machine.
    """
    known = {machine.mac: machine for machine in lab.machines}
    offered = {(mac, one.address) for mac, found in given.items() for one in found if one.server == server}
    reserved = {machine.mac for machine in lab.machines if (machine.mac, machine.address) in offered}
    pool = {address for mac, address in offered - {(m.mac, m.address) for m in known.values()} if address != _NONE}
    if not pool:
        return
    within = range(int(min(pool)), int(max(pool)) + 1)
    found = [
        machine
        for machine in lab.machines
        if machine.address in pool or (int(machine.address) in within and machine.mac not in reserved)
    ]
    if found:
        text = f"{server} seems to have addresses of lab.yaml in its pool, for others too: {_few(map(_named, found))}"
        hint = "take them out of that pool, or reserve them there: `nodisk dhcp-snippet SERVER --reservations`"
        yield warning(NAME, text, hint)


def _named(machine: Machine) -> str:
    return f"{machine.address} ({machine.name})"


def _few(names: Iterator[str] | list[str]) -> str:
    """The first of many."""
    found = list(names)
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def _show(one: Offer) -> str:
    offered = f"offers {one.address}" if one.address != _NONE else "is a proxyDHCP server"
    relayed = f" through the relay {one.relay}" if one.relay else ""
    return f"{one.server} {offered}{relayed}" + (f", boot file {one.boot_file}" if one.boot_file else "")
