"""DHCP servers that a room may have, as real daemons in a namespace of the segment: ISC dhcpd, Kea, dnsmasq."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.server.rooms import Room
from tests.support.waits import until

from nodisk import run
from nodisk.plan import dhcp_snippets

ADDRESS = "10.99.0.9"
MAC = "52:54:00:99:00:09"
POOL = ("10.99.0.150", "10.99.0.199")
SUBNET = "10.99.0.0/24"


def unconfined(folder: Path, program: str) -> str:
    """A copy of a program: where AppArmor is on, Debian's profile lets the original read no configuration of a test."""
    copy = folder / program
    shutil.copy(run.find(program), copy)
    return str(copy)


def isc(folder: Path, snippet: str, *, pool: tuple[str, str] = POOL) -> list[str]:
    """dhcpd with the snippet pasted as it says: the first part at the top, the second into the subnet's block."""
    top, _, inside = snippet.partition(dhcp_snippets.SECOND_PART)
    inside = inside.partition("\n")[2]
    config = folder / "dhcpd.conf"
    config.write_text(
        f"authoritative;\nping-check false;\n{top}\nsubnet 10.99.0.0 netmask 255.255.255.0 {{\n"
        f"range {pool[0]} {pool[1]};\n{inside}\n}}\n"
    )
    leases = folder / "dhcpd.leases"
    leases.touch()
    return [
        unconfined(folder, "dhcpd"),
        "-4",
        "-f",
        "-cf",
        str(config),
        "-lf",
        str(leases),
        "-pf",
        str(folder / "dhcpd.pid"),
        "eth0",
    ]


HTTPS = 20
"""iPXE's number for what it can do: an option inside 175 (its features.h, DHCP_EB_FEATURE_HTTPS)."""


def isc_that_renews(snippet: str) -> str:
    """ISC's snippet for a room that takes an iPXE without HTTPS for any maker's ROM: it gets ours, by TFTP.

    So is Debian 12's ROM, and ours is not. They can't be told apart by the version that they send: Debian's is 1.0.0.
    """
    space = f"option space ipxe;\noption ipxe.https code {HTTPS} = unsigned integer 8;\n"
    for this, that in (
        ("option nodisk-ipxe code 175 = string;", f"{space}option nodisk-ipxe code 175 = encapsulate ipxe;"),
        ("if exists nodisk-ipxe {", "if exists ipxe.https {"),
    ):
        assert this in snippet, snippet
        snippet = snippet.replace(this, that)
    return snippet


def kea(folder: Path, snippet: str, *, pool: tuple[str, str] = POOL) -> list[str]:
    """kea-dhcp4 with the snippet merged as it says."""
    pasted = json.loads(without_comments(snippet) or "{}").get("Dhcp4", {})
    [subnet] = pasted.pop("subnet4", [{"subnet": SUBNET}])
    config = folder / "kea.json"
    config.write_text(
        json.dumps(
            {
                "Dhcp4": kea_server("eth0")
                | pasted
                | {"subnet4": [subnet | {"id": 1, "pools": [{"pool": " - ".join(pool)}]}]}
            }
        )
    )
    return [*kea_words(folder), "-c", str(config)]


def kea_words(folder: Path) -> list[str]:
    """kea-dhcp4, with its own files in ``folder``."""
    return ["env", f"KEA_PIDFILE_DIR={folder}", f"KEA_LOCKFILE_DIR={folder}", unconfined(folder, "kea-dhcp4")]


def kea_server(interface: str) -> dict[str, Any]:
    """What a Kea needs beside its subnets: leases in memory, no log but its output."""
    return {
        "interfaces-config": {"interfaces": [interface]},
        "lease-database": {"type": "memfile", "persist": False},
        "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}],
    }


def without_comments(snippet: str) -> str:
    """A snippet without the lines that are for people."""
    return "\n".join(line for line in snippet.splitlines() if not line.lstrip().startswith("#"))


def dnsmasq(folder: Path, snippet: str, *, pool: tuple[str, str] = POOL) -> list[str]:
    """The room's own dnsmasq with the snippet at the end of its file."""
    config = folder / "dnsmasq.conf"
    config.write_text(
        f"keep-in-foreground\nport=0\nuser=root\nno-ping\ninterface=eth0\nbind-interfaces\n"
        f"dhcp-leasefile={folder / 'dnsmasq.leases'}\npid-file={folder / 'dnsmasq.pid'}\ndhcp-authoritative\n"
        f"dhcp-range={pool[0]},{pool[1]},255.255.255.0\n{snippet}"
    )
    return ["dnsmasq", f"--conf-file={config}"]


START = {"isc": isc, "kea": kea, "dnsmasq": dnsmasq}


@contextmanager
def running(room: Room, words: list[str], folder: Path, *, name: str = "dhcp") -> Iterator[None]:
    """A DHCP server beside the room's, at ``ADDRESS``, from when it has its port on."""
    namespace = room.plug(name, MAC, ADDRESS)
    with serving(namespace, words, folder):
        yield


@contextmanager
def serving(namespace: str, words: list[str], folder: Path) -> Iterator[None]:
    """A DHCP server in a namespace, from when it has its port on."""
    log = folder / "dhcp.log"
    process = run.start(words, log_file=log, netns=namespace)
    try:
        until(
            lambda: _listens(namespace),
            every=0.1,
            why=lambda: f"{words[0]} does not bind its port:\n{log.read_text()}",
            process=process,
        )
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _listens(namespace: str) -> bool:
    """Whether anybody there has DHCP's port, or reads the card itself (as ISC's and Kea's do)."""
    table = run.run(["cat", "/proc/net/udp", "/proc/net/packet"], netns=namespace).stdout
    return ":0043 00000000:0000" in table
