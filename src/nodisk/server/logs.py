"""What the daemons' logs reveal about machines. Pure: a line in, a sighting or nothing out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from nodisk import ports
from nodisk.plan.daemons_dnsmasq import ARM64, PROGRAMS
from nodisk.records.events import FIRMWARE, IPXE
from nodisk.values import Mac

_LINE = re.compile(r"dnsmasq-dhcp\[\d+\]: (?:(\d+) )?(.*)")
_REPLY = re.compile(
    r"(DHCPACK|PXE|DHCPDISCOVER)\([^)]*\) (?:(\d+\.\d+\.\d+\.\d+) )?([0-9a-f]{2}(?::[0-9a-f]{2}){5})(?: (.*))?"
)
_MAX_OPEN = 256
_OTHERS = {
    6: "UEFI on 32-bit x86",
    10: "UEFI on 32-bit ARM",
    11: "UEFI on 64-bit ARM",
    15: "UEFI on 32-bit x86 by HTTP",
    18: "UEFI on 32-bit ARM by HTTP",
    19: "UEFI on 64-bit ARM by HTTP",
}
"""IANA's processor architectures that PCs in a room may send."""


@dataclass(frozen=True, slots=True)
class Lease:
    """dnsmasq told a booting machine's firmware or iPXE how to continue, or had nothing for it."""

    mac: Mac
    address: IPv4Address | None
    """None: proxyDHCP; another server assigned the address."""
    by: str
    """``firmware`` or ``iPXE``; for firmware that gets no program, which it is."""


@dataclass(slots=True)
class DhcpLog:
    """Reads dnsmasq's log (with log-dhcp). Only a PXE client counts: Linux renewing its lease is no boot.

    Firmware for which there is no program may never get to a lease, so its request counts.
    """

    _clients: dict[str, str] = field(default_factory=dict)
    """Transaction → client."""

    def read(self, line: str) -> Lease | None:
        """The next line."""
        match = _LINE.search(line)
        if match is None:
            return None
        transaction, text = match.group(1) or "", match.group(2)
        if text.startswith(("vendor class: PXEClient", "vendor class: HTTPClient")):
            self._remember(transaction, _firmware(text))
        elif text.startswith("user class: iPXE"):
            self._remember(transaction, IPXE)
        reply = _REPLY.match(text)
        if reply is None or transaction not in self._clients:
            return None
        if reply.group(1) == "DHCPDISCOVER" and self._clients[transaction] in (FIRMWARE, IPXE):
            return None
        by = self._clients.pop(transaction)
        try:
            return Lease(Mac.parse(reply.group(3)), IPv4Address(reply.group(2)) if reply.group(2) else None, by)
        except ValueError:
            return None

    def _remember(self, transaction: str, who: str) -> None:
        if len(self._clients) >= _MAX_OPEN:
            self._clients.pop(next(iter(self._clients)))
        self._clients[transaction] = who


def _firmware(text: str) -> str:
    """What firmware reports in option 60 (and usually also in option 93)."""
    match = re.search(r":Arch:(\d{5})", text)
    number = int(match[1]) if match else None
    if number in PROGRAMS:
        return FIRMWARE
    what = "no architecture named" if number is None else f"architecture {number}, {_OTHERS.get(number, 'unknown')}"
    return f"{FIRMWARE} for which there is no {'image' if number == ARM64 else 'program'} ({what})"


@dataclass(frozen=True, slots=True)
class Fetch:
    """nginx sent bytes to a client."""

    address: IPv4Address
    what: str
    """The file's name for /assets/…, ``registry`` for container images."""
    bytes: int


def fetch(line: str) -> Fetch | None:
    """A line of nginx' access log (JSON; ``plan.daemons_nginx``); None if it isn't about bytes that count."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
        address = IPv4Address(entry["address"])
        uri, status, sent, port = str(entry["uri"]), int(entry["status"]), int(entry["bytes"]), str(entry["port"])
    except (ValueError, KeyError, TypeError, AddressValueError):
        return None
    if status not in (200, 206) or entry.get("method") != "GET":
        return None
    if port == str(ports.REGISTRY):
        return Fetch(address, "registry", sent)
    if uri.startswith("/assets/"):
        return Fetch(address, uri.rsplit("/", 1)[1][:100], sent)
    return None
