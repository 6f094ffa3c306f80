"""Asking a segment who gives addresses: the I/O around ``check.dhcp``. Needs root (a packet socket)."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from pathlib import Path

from nodisk.check.dhcp import Offer, discover, offer
from nodisk.values import Mac

LISTEN = 5.0
"""Seconds: some servers ping an address for up to three seconds before they offer it."""
RESEND = 2.0
_IPV4 = 0x0800
_EVERYBODY = b"\xff" * 6


def mac_of(interface: str) -> Mac:
    """The card's own address; raises OSError or ValueError where it has none."""
    return Mac.parse(Path(f"/sys/class/net/{interface}/address").read_text().strip())


def ask(interface: str, mac: Mac, *, seconds: float = LISTEN) -> list[Offer]:
    """Send DHCPDISCOVERs and return every different answer within ``seconds``. Nothing is ever requested or leased.

    Raises OSError (PermissionError without root).
    """
    transaction = secrets.randbits(32)
    request = discover(mac, transaction)
    found: dict[Offer, None] = {}
    end = time.monotonic() + seconds
    again = time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as wire:
        wire.bind((interface, _IPV4))
        while (now := time.monotonic()) < end:
            if now >= again:
                wire.sendto(request, (interface, _IPV4, 0, 0, _EVERYBODY))
                again = now + RESEND
            wire.settimeout(max(0.01, min(end, again) - now))
            with contextlib.suppress(TimeoutError):
                answer = offer(wire.recv(65535), mac, transaction)
                if answer is not None:
                    found[answer] = None
    return list(found)
