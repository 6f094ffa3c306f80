"""What the server's host provides: the interface with the lab's address, daemon users, nginx modules, free ports."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from nodisk import ports, run
from nodisk.errors import EnvironmentProblem
from nodisk.plan.daemons import Host
from nodisk.spec.model import DhcpMode, Lab
from nodisk.state import LabState, check_path

STREAM_MODULES = (
    Path("/usr/lib/nginx/modules/ngx_stream_module.so"),
    Path("/usr/lib64/nginx/modules/ngx_stream_module.so"),
)
"""Where Debian and others install nginx' stream module; if it is in neither place, it is built in or missing."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the server is going to bind."""

    number: int
    udp: bool
    what: str
    address: IPv4Address
    device: str | None = None
    """For DHCP, which listens on all addresses of one interface."""

    def __str__(self) -> str:
        return f"{self.address}:{self.number}/{'udp' if self.udp else 'tcp'} ({self.what})"


def inspect(lab: Lab, state: LabState, *, uefi: str) -> Host:
    """Inspect the host for the daemons' configurations; raises EnvironmentProblem for what it lacks."""
    if os.geteuid() != 0:
        raise EnvironmentProblem("nodisk serve needs root, because it answers DHCP and uses ports below 1024")
    check_path(state.root)
    modules = [path for path in STREAM_MODULES if path.exists()]
    return Host(
        interface=lab.network.interface or interface_of(lab.network.server),
        conf=state.conf,
        run=state.run,
        data=state.root,
        pki=state.pki,
        objects=state.state.assets / "objects",
        tftp=state.www / "ipxe",
        uefi=uefi,
        stream_module=modules[0] if modules else None,
        web_user=_user("www-data", "nginx", "nobody"),
        dns_user=_user("dnsmasq", "nobody"),
        names_user=_user("unbound", "nobody"),
        time_user=_user("_chrony", "nobody"),  # chronyd may be here without its package, and then without its user
    )


def check_readable(host: Host) -> None:
    """Raise EnvironmentProblem if nginx' and dnsmasq's unprivileged users can't read what they serve."""
    for folder in (host.objects, host.tftp, host.run):
        for part in (folder, *folder.parents):
            if part.exists() and not part.stat().st_mode & 0o001:
                raise EnvironmentProblem(
                    f"{part} is not accessible to the users of nginx and dnsmasq ({host.web_user}, {host.dns_user})",
                    hint=f"chmod o+x {part}, or choose another --state",
                )


def holds_address(address: IPv4Address) -> bool:
    """Whether this host (in this network namespace) can bind the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def interface_of(address: IPv4Address) -> str:
    """Find the interface that has an address; raises EnvironmentProblem if there is none."""
    links = json.loads(run.run(["ip", "-json", "-4", "address", "show"]).stdout)
    for link in links:
        if any(entry.get("local") == str(address) for entry in link.get("addr_info", [])):
            return str(link["ifname"])
    raise EnvironmentProblem(
        f"no network interface of this host has the address {address} (network.server of lab.yaml)",
        hint=f"ip address add {address}/24 dev INTERFACE, or correct lab.yaml",
    )


def _user(*names: str) -> str:
    for name in names:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise EnvironmentProblem(f"this host has none of the users {', '.join(names)}")


def bound_ports(lab: Lab, interface: str, *, names: bool) -> tuple[Port, ...]:
    """All ports that the server binds for this lab; ``names``: also those of the cluster's names."""
    server = lab.network.server
    found = [
        Port(ports.HTTP, False, "nginx: files and boot scripts", server),
        Port(ports.ENROL, False, "nginx: enrolment", server),
        Port(lab.console.port, False, "nginx: the console", lab.console_address),
        Port(ports.DNS, False, "dnsmasq: DNS", server),
        Port(ports.DNS, True, "dnsmasq: DNS", server),
        Port(ports.TFTP, True, "dnsmasq: TFTP", server),
        Port(ports.NTP, True, "chronyd: time", server),
    ]
    if lab.has_cluster:
        found += [
            Port(ports.REGISTRY, False, "nginx: registry", server),
            *([Port(ports.CLASS_REGISTRY, False, "nginx: the class registry", server)] if lab.class_registry else []),
            Port(ports.API, False, "nginx: the cluster's API", server),
            Port(ports.METRICS, False, "nginx: the cluster's metrics", server),
            Port(ports.ETCD, False, "etcd", server),
            Port(ports.ETCD_PEER, False, "etcd", IPv4Address("127.0.0.1")),
        ]
    if names:
        what = "the names' gate" if lab.isolates_names else "unbound: the cluster's names"
        found += [Port(ports.NAMES, udp, what, server) for udp in (False, True)]
    if names and lab.isolates_names:
        found += [Port(ports.NAMES, udp, "unbound", IPv4Address("127.0.0.1")) for udp in (False, True)]
    anywhere = IPv4Address("0.0.0.0")  # noqa: S104 - DHCP clients have no address yet
    if lab.network.dhcp is not DhcpMode.NONE:
        found.append(Port(67, True, "dnsmasq: DHCP", anywhere, interface))
    if lab.network.dhcp is DhcpMode.PROXY:
        found.append(Port(4011, True, "dnsmasq: proxyDHCP", anywhere, interface))
    return tuple(found)


def check_free(wanted: Iterable[Port]) -> None:
    """Raise EnvironmentProblem with every port in use, and the process that holds it."""
    taken = [f"{port} is in use{_holder(port)}" for port in wanted if not is_free(port)]
    if taken:
        raise EnvironmentProblem(
            "\n".join(taken), hint="stop the other process, or give the lab's server its own address"
        )


def is_free(port: Port) -> bool:
    """Whether the port can be bound now; raises nothing."""
    kind = socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            if port.device:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, port.device.encode())
            if not port.udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemons do: TIME_WAIT is no holder
            probe.bind((str(port.address), port.number))
        except OSError:
            return False
    return True


def _holder(port: Port) -> str:
    """`` by nginx (process 12)``, if ss knows."""
    argv = ["ss", "-H", "-l", "-n", "-p", "-u" if port.udp else "-t", f"sport = :{port.number}"]
    done = run.run(argv, check=False)
    users = dict.fromkeys(re.findall(r'\("([^"]+)",pid=(\d+)', done.stdout))
    found = ", ".join(f"{name} (process {pid})" for name, pid in users)
    return f" by {found}" if found else ""
