"""System configuration of a machine: names, network, time, logs, kernel settings, RAM file systems."""

from __future__ import annotations

from ipaddress import IPv4Address

from nodisk.plan import network
from nodisk.plan.documents import HEADER
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_kubernetes import PodNetwork
from nodisk.spec.model_os import Suite
from nodisk.spec.once import once

SYSCTL = (
    HEADER
    + """# What kubelet, kube-proxy and bridged pods need.
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
vm.overcommit_memory = 1
# For huge pages Linux keeps 70 MiB and more free, and counts half as much again as unavailable: a tenth of a small PC.
# This is what it keeps without them on one of 16 GiB.
vm.min_free_kbytes = 16384
kernel.panic = 10
kernel.panic_on_oops = 1
fs.inotify.max_user_instances = 1024
fs.inotify.max_user_watches = 131072
"""
)
MODULES = HEADER + "br_netfilter\noverlay\nnf_conntrack\n"
SUDOERS = f"""{HEADER}# There are no passwords: who holds a key of the lab administers its machines.
%sudo ALL=(ALL:ALL) NOPASSWD: ALL
"""
NETWORKD = f"""{HEADER}[Network]
# Pod networks add routes of their own.
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
"""


def hosts(lab: Lab, machine: Machine) -> str:
    """/etc/hosts: every machine of the lab."""
    lines = dict(_names(lab))
    own = lines.pop(machine.address)
    return f"{HEADER}127.0.0.1 localhost\n::1 localhost\n{own}{''.join(lines.values())}"


@once
def _names(lab: Lab) -> dict[IPv4Address, str]:
    """Every machine's line in /etc/hosts."""
    return {machine.address: f"{machine.address} {machine.name}\n" for machine in lab.machines}


def resolv_conf(lab: Lab) -> str:
    """/etc/resolv.conf."""
    return HEADER + "".join(f"nameserver {address}\n" for address in network.resolvers(lab))


def network_unit(lab: Lab, machine: Machine) -> str:
    """networkd's configuration of the NIC from which the machine booted; other NICs are left alone.

    The initramfs has already set it up with the same values, so the link doesn't flap when networkd takes over.
    """
    # Other pod networks give out the ranges, and make the routes, by themselves.
    routed = lab.has_cluster and lab.kubernetes.network is PodNetwork.ROUTED
    routes = dict(_routes(lab)) if routed else {}
    routes.pop(machine.address, None)
    gateway = f"Gateway={lab.network.gateway}\n" if lab.network.gateway else ""
    # What runs in the host's network reaches a Service only if the kernel knows some way to its address: the packet is
    # routed first, and redirected by kube-proxy's rules on its way out. In a room without a gateway there is no other
    # way; and where there is one, a Service's address is none of its business.
    services = f"\n[Route]\nDestination={lab.kubernetes.services}\nScope=link\nPreferredSource={machine.address}\n"
    services = services if lab.has_cluster else ""
    return (
        f"{HEADER}[Match]\nMACAddress={machine.mac}\nType=ether\nKind=!*\n\n"
        f"[Link]\nRequiredForOnline=no\n\n"
        f"[Network]\nAddress={machine.address}/{lab.network.subnet.prefixlen}\n{gateway}"
        "KeepConfiguration=static\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\n"
        f"{services}{''.join(routes.values())}"
    )


@once
def _routes(lab: Lab) -> dict[IPv4Address, str]:
    """The route to every machine's pods, by the machine's address."""
    ranges = network.ranges_by_address(lab).items()
    return {address: f"\n[Route]\nDestination={pods}\nGateway={address}\n" for address, pods in ranges}


def apt_sources(mirror: str, suite: Suite) -> str:
    """A deb822 file for /etc/apt/sources.list.d (sources.list(5)): one suite and its updates."""
    suites = f"{suite} {suite}-updates" if suite is not Suite.SID else str(suite)
    return (
        f"{HEADER}Types: deb\nURIs: {mirror}\nSuites: {suites}\nComponents: main contrib non-free-firmware\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def timesyncd(lab: Lab) -> str:
    """Time from the server: certificates are short-lived, and a PC's battery may be empty."""
    return f"{HEADER}[Time]\nNTP={lab.network.server}\nFallbackNTP=\n"


def journald(cap: int) -> str:
    """The journal in RAM, at most ``cap`` MiB."""
    return f"{HEADER}[Journal]\nStorage=volatile\nRuntimeMaxUse={cap}M\nForwardToSyslog=no\nAudit=no\n"


INODES_PER_MIB = 64
"""Files of a tmpfs: one for 16 KiB, mkfs.ext4's own ratio; files in container images average 30 KiB."""
FEWEST_INODES = 16384


def inodes(size: int) -> int:
    """How many files a tmpfs of ``size`` MiB may hold.

    The kernel's own limit follows only from the machine's RAM, and each inode takes one KiB that no size limit counts:
    a pod that creates empty files would use up the machine. This bound is a sixteenth of the size, or 16 MiB for a
    small one.
    """
    return max(FEWEST_INODES, size * INODES_PER_MIB)


def ram_mount(where: str, size: int, *, mode: str) -> str:
    """A mount unit of a tmpfs of at most ``size`` MiB."""
    return (
        f"[Unit]\nDescription=RAM for {where}\n\n"
        f"[Mount]\nWhat=tmpfs\nWhere={where}\nType=tmpfs\nOptions=size={size}m,nr_inodes={inodes(size)},mode={mode}\n\n"
        "[Install]\nWantedBy=local-fs.target\n"
    )
