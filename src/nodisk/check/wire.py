"""Checks of the lab's segment, as seen from the network namespace that this process is in."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodisk import run
from nodisk.check import dhcp_probe, offers
from nodisk.check.arrivals import Room
from nodisk.check.dhcp import Offer
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.server import host
from nodisk.spec.model import DhcpMode, Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.values import Mac
from nodisk.waiting import Deadline

_REPLY = re.compile(r"reply from (\S+) \[([0-9A-Fa-f:]{17})\]")


@dataclass(frozen=True, slots=True)
class Link:
    """The server's network interface."""

    name: str
    up: bool
    carrier: bool
    holds: bool
    """Whether it has the server's address."""
    prefix: int | None
    """The prefix length of that address."""


def link(lab: Lab) -> Link | None:
    """Find the interface named in lab.yaml, else the one with the server's address; None if there is none."""
    wanted, server = lab.network.interface, str(lab.network.server)
    for there in json.loads(run.run(["ip", "-json", "address", "show"], timeout=5).stdout or "[]"):
        entry = next((one for one in there.get("addr_info", []) if one.get("local") == server), None)
        if there["ifname"] == wanted or (wanted is None and entry):
            flags = there.get("flags", [])
            prefix = int(entry["prefixlen"]) if entry else None
            return Link(there["ifname"], "UP" in flags, "LOWER_UP" in flags, entry is not None, prefix)
    return None


def interface(lab: Lab) -> list[Finding]:
    """Check that the interface exists, is up, has a carrier, and has the server's address and prefix."""
    net, name = lab.network, "interface"
    found = link(lab)
    address = f"{net.server}/{net.subnet.prefixlen}"
    if found is None:
        if net.interface:
            return [
                error(name, f"there is no network interface {net.interface}", "list interfaces with `ip -brief link`")
            ]
        hint = f"ip address add {address} dev INTERFACE, or correct network.server; for a virtual lab: check --virtual"
        return [error(name, f"no network interface of this host has the address {net.server}", hint)]
    findings = []
    if not found.up:
        findings.append(error(name, f"{found.name} is down", f"ip link set {found.name} up"))
    elif not found.carrier:
        findings.append(error(name, f"{found.name} has no carrier", "check the cable and the switch"))
    if not found.holds:
        hint = f"ip address add {address} dev {found.name}"
        findings.append(error(name, f"{found.name} does not have the address {net.server}", hint))
    elif found.prefix != net.subnet.prefixlen:
        text = f"{found.name} has {net.server}/{found.prefix}, but the lab's subnet is {net.subnet}"
        findings.append(error(name, text, f"set {address}, or correct network.subnet"))
    return findings or [ok(name, f"{found.name} is up with {address}")]


def ports(lab: Lab, *, server_pid: int | None) -> list[Finding]:
    """Every port that the server is going to bind is free; ``server_pid``: this lab's own server already runs."""
    name = "ports"
    if server_pid is not None:
        return [ok(name, f"used by this lab's own server (pid {server_pid})")]
    found = link(lab)
    if found is None or not found.holds:
        return [warning(name, "not checked: this host doesn't have the server's address yet")]
    wanted = host.bound_ports(lab, found.name, names=lab.kubernetes.source is Source.DEBIAN or lab.isolates_names)
    if os.geteuid() != 0:
        return [warning(name, "not checked: ports below 1024 need root", "sudo nodisk check")]
    findings = []
    for port in wanted:
        try:
            host.check_free([port])
        except EnvironmentProblem as problem:
            findings.append(error(name, problem.message, problem.hint or ""))
    return findings or [ok(name, f"all {len(wanted)} are free on {lab.network.server}")]


def dhcp(lab: Lab) -> list[Finding]:
    """Who gives addresses on the segment, and whether that agrees with lab.yaml."""
    name = "dhcp"
    found = link(lab)
    if found is None or not found.up:
        return [warning(name, "not checked: the interface is not up")]
    try:
        own = dhcp_probe.mac_of(found.name)
        strangers = offers.strangers(lab) if lab.network.dhcp is not DhcpMode.FULL else {}
        macs = {own: None, **{machine.mac: None for machine in lab.machines}, **strangers}
        heard = Room(frozenset({own}), lab.network.server)
        dhcp_probe.listen(found.name, Deadline(dhcp_probe.QUIET), heard.take, lambda: False)
        for mac, some in dhcp_probe.ask(found.name, macs).items():
            for one in some:
                heard.note(mac, one)
        boots = _boot_servers(lab, found, own, heard) if found.holds else {}
    except PermissionError:
        return [warning(name, "not checked: the probe needs root", "sudo nodisk check")]
    except (OSError, ValueError) as problem:
        return [warning(name, f"not checked: {problem}")]
    return offers.judge(lab, {mac: heard.answers.get(mac, []) for mac in {*macs, *heard.answers}}, boots, heard.relays)


def _boot_servers(lab: Lab, found: Link, own: Mac, heard: Room) -> dict[IPv4Address, str]:
    """What PXE servers say on port 4011, to which option 60 sends firmware: server → boot file."""
    servers = sorted(
        {one.server for some in heard.answers.values() for one in some if one.vendor_class.startswith("PXEClient")}
    )

    def asked(server: IPv4Address) -> Offer | None:
        return dhcp_probe.ask_boot_server(found.name, server, own, lab.network.server)

    said = zip(servers, all_or_raise(in_parallel(asked, servers)), strict=True)
    return {server: answer.boot_file for server, answer in said if answer is not None}


def duplicates(lab: Lab) -> list[Finding]:
    """No other device uses an address of the lab."""
    name = "duplicates"
    found = link(lab)
    if found is None or not found.up:
        return [warning(name, "not checked: the interface is not up")]
    if os.geteuid() != 0:
        return [warning(name, "not checked: the probe needs root", "sudo nodisk check")]
    wanted: dict[IPv4Address, Mac | None] = {machine.address: machine.mac for machine in lab.machines}
    wanted[lab.network.server] = None
    try:
        answers = all_or_raise(in_parallel(lambda address: holders(found.name, address), wanted, workers=16))
    except NodiskError as problem:
        return [warning(name, f"not checked: {problem.message}", problem.hint or "")]
    findings = []
    alive = 0
    for (address, mac), macs in zip(wanted.items(), answers, strict=True):
        for other in sorted(macs - ({mac} if mac else set()), key=str):
            who = next((str(m.name) for m in lab.machines if m.address == address), "the server")
            whose = next((f", the NIC of {m.name}" for m in lab.machines if m.mac == other), "")
            text = f"{address} ({who}) is in use by {other}{whose}"
            findings.append(error(name, text, "remove that device, or choose another address"))
        alive += mac in macs
    note = f"; {alive} machines are on" if alive else ""
    return findings or [ok(name, f"no other device uses the lab's {len(wanted)} addresses{note}")]


def holders(interface: str, address: IPv4Address) -> set[Mac | str]:
    """The MACs that answer for an address on the network, except this host's own (it does not ask itself).

    A MAC that no NIC can have (a load balancer's group address) is returned as text.
    """
    argv = ["arping", "-D", "-c", "2", "-w", "3", "-I", interface, str(address)]
    done = run.run(argv, check=False, timeout=10)
    if done.returncode not in (0, 1):
        raise NodiskError(f"arping: {(done.stderr or done.stdout).strip()[:200]}")
    return {_card_of(mac) for _, mac in _REPLY.findall(done.stdout)}


def _card_of(text: str) -> Mac | str:
    try:
        return Mac.parse(text)
    except ValueError:
        return text.lower()


CHECKS = ("interface", "ports", "dhcp", "duplicates")


def check(name: str, lab: Lab, server_pid: int | None) -> list[Finding]:
    """One of ``CHECKS``."""
    if name == "ports":
        return ports(lab, server_pid=server_pid)
    return {"interface": interface, "dhcp": dhcp, "duplicates": duplicates}[name](lab)
