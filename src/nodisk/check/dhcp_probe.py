"""Find out who gives addresses on a segment: the I/O around ``check.dhcp``. Needs root (a packet socket)."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from nodisk.check.dhcp import Offer, discover, offer
from nodisk.values import Mac

LISTEN = 5.0
"""Seconds: some servers ping an address for up to three seconds before they offer it."""
RESEND = 2.0
_IPV4 = 0x0800
_EVERYBODY = b"\xff" * 6


def mac_of(interface: str) -> Mac:
    """The NIC's own MAC address; raises OSError or ValueError if it has none."""
    return Mac.parse(Path(f"/sys/class/net/{interface}/address").read_text().strip())


def ask(interface: str, macs: Sequence[Mac], *, seconds: float = LISTEN) -> dict[Mac, list[Offer]]:
    """Send a DHCPDISCOVER for each of ``macs`` and return every different answer within ``seconds``, by MAC.

    Asking with a machine's MAC shows what that machine will get. It never sends a REQUEST, so no lease is made. Raises
    OSError (PermissionError without root).
    """
    wanted = {mac: secrets.randbits(32) for mac in macs}
    found: dict[Mac, dict[Offer, None]] = {mac: {} for mac in macs}
    end = time.monotonic() + seconds
    again = time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as wire:
        wire.bind((interface, _IPV4))
        while (now := time.monotonic()) < end:
            if now >= again:
                for mac, transaction in wanted.items():
                    wire.sendto(discover(mac, transaction), (interface, _IPV4, 0, 0, _EVERYBODY))
                again = now + RESEND
            wire.settimeout(max(0.01, min(end, again) - now))
            with contextlib.suppress(TimeoutError):
                packet = wire.recv(65535)
                for mac, transaction in wanted.items():
                    if (answer := offer(packet, mac, transaction)) is not None:
                        found[mac][answer] = None
    return {mac: list(answers) for mac, answers in found.items()}
