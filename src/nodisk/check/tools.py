"""The programs that a lab needs on the server's host, and the oldest versions tested with nodisk (Debian 12's)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.errors import NodiskError, ToolMissing
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.server import host
from nodisk.spec.model import Lab

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and what it is for."""

    name: str
    package: str
    why: str
    version_flag: str = "--version"
    least: Version = ()
    """Older versions are not tested; empty: any version will do."""
    virtual_only: bool = False
    cluster_only: bool = False


TOOLS = (
    Tool("dnsmasq", "dnsmasq-base", "DHCP, TFTP, names", least=(2, 85)),
    Tool("unbound", "unbound", "the cluster's names", "-V", (1, 17)),
    Tool("nginx", "nginx", "files, balancing the API", "-v", (1, 18)),
    Tool("etcd", "etcd-server", "the cluster's objects", least=(3, 4), cluster_only=True),
    Tool("docker-registry", "docker-registry", "container images", least=(2, 8), cluster_only=True),
    Tool("chronyd", "chrony", "time for the machines", least=(4, 0)),
    Tool("mmdebstrap", "mmdebstrap", "making the node image", least=(1, 3)),
    Tool("mksquashfs", "squashfs-tools", "packing the node image", "-version", (4, 5)),
    Tool("zstd", "zstd", "packing the initramfs"),
    Tool("cpio", "cpio", "reading an initramfs"),
    Tool("skopeo", "skopeo", "filling the registry", least=(1, 9), cluster_only=True),
    Tool("openssl", "openssl", "looking at certificates"),
    Tool("ip", "iproute2", "addresses, namespaces"),
    Tool("nft", "nftables", "rules of a virtual lab", virtual_only=True),
    Tool("arping", "iputils-arping", "finding addresses that are used twice"),
    Tool("ssh", "openssh-client", "nodisk ssh"),
    Tool("qemu-system-x86_64", "qemu-system-x86", "virtual machines", least=(7, 2), virtual_only=True),
)
_SERVICES = ("nginx", "etcd-server", "docker-registry", "unbound")
"""Packages whose service takes a port that a lab needs, or that nobody needs.

chrony's serves nobody and sets the host's clock.
"""
_STREAM = "libnginx-mod-stream"
_XTERM = Path("/usr/share/javascript/xterm/xterm.css")


def version_in(text: str) -> Version | None:
    """The first thing in a program's answer that looks like a version: ``nginx/1.22.1`` → (1, 22, 1)."""
    match = re.search(r"(?<![\w.])v?(\d+(?:\.\d+)+)", text.replace("/", " "))
    return tuple(int(part) for part in match[1].split(".")) if match else None


def tools(lab: Lab, *, virtual: bool) -> list[Finding]:
    """All programs are installed in tested versions; one hint installs everything that is missing."""
    cluster = lab.has_cluster
    wanted = [tool for tool in TOOLS if (virtual or not tool.virtual_only) and (cluster or not tool.cluster_only)]
    answers = all_or_raise(in_parallel(_look, wanted))
    missing = [tool for tool, answer in zip(wanted, answers, strict=True) if answer is None]
    packages = [tool.package for tool in missing]
    if cluster and not any(tool.name == "nginx" for tool in missing) and not _has_stream():
        packages.append(_STREAM)
    findings = []
    if packages:
        names = ", ".join([f"{tool.name} ({tool.why})" for tool in missing] + [_STREAM] * (_STREAM in packages))
        findings.append(error("tools", f"missing: {names}", install(packages)))
    for tool, answer in zip(wanted, answers, strict=True):
        if answer and tool.least and answer < tool.least:
            text = f"{tool.name} {_dotted(answer)} is too old: nodisk is tested with {_dotted(tool.least)} and newer"
            findings.append(warning("tools", text, "use the version from Debian 12 or 13"))
    if cluster and not _XTERM.exists():
        text = "students' terminals need xterm.js: their pages will say that it is missing"
        findings.append(warning("tools", text, install(["libjs-xterm", "node-xterm"])))
    return findings or [ok("tools", f"all {len(wanted)} are installed")]


def install(packages: list[str]) -> str:
    """The one command that installs them. Their services would start at once, on the lab's own ports: a checkout has a
    script that prevents this; elsewhere they are masked first (nodisk runs the programs itself)."""
    script = Path(__file__).parents[3] / "tools/install-packages"
    if script.exists():
        return f"sh {script}"
    units = [f"{package.removesuffix('-server')}.service" for package in packages if package in _SERVICES]
    mask = f"systemctl mask {' '.join(sorted(units))} && " if units else ""
    return f"{mask}apt-get install --no-install-recommends {' '.join(sorted(set(packages)))}"


def _look(tool: Tool) -> Version | None:
    """A tool's version; () if it doesn't tell, None if it isn't installed."""
    try:
        path = run.find(tool.name)
    except ToolMissing:
        return None
    if not tool.least:
        return ()
    try:
        done = run.run([path, tool.version_flag], check=False, timeout=10)
    except NodiskError:
        return ()
    return version_in(done.stdout + done.stderr) or ()


def _has_stream() -> bool:
    """Whether nginx can balance TCP: the module is installed or built in."""
    if any(module.exists() for module in host.STREAM_MODULES):
        return True
    words = run.run(["nginx", "-V"], check=False, timeout=10).stderr.split()
    return "--with-stream" in words


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
