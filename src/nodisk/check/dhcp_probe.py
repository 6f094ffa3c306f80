"""Find the DHCP servers of a segment: the I/O around ``check.dhcp``. Needs root (a packet socket)."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from nodisk.check.dhcp import Offer, boot_answer, boot_request, discover, offer
from nodisk.values import Mac
from nodisk.waiting import Deadline

LISTEN = 5.0
"""Seconds: some servers ping an address for up to three seconds before they offer it."""
RESEND = 2.0
QUIET = 2.0
"""Seconds for which ``nodisk check`` only listens before it asks."""
BOOT_PORT = 4011
"""Where a PXE boot server answers those that have an address (PXE 2.1 section 2.2.3)."""
LOOK = 0.2
"""Seconds between two looks at whether listening has ended."""
_IPV4 = 0x0800
_EVERYBODY = b"\xff" * 6


def mac_of(interface: str) -> Mac:
    """The NIC's own MAC address; raises OSError or ValueError if it has none."""
    return Mac.parse(Path(f"/sys/class/net/{interface}/address").read_text().strip())


@contextlib.contextmanager
def _wire(interface: str) -> Iterator[socket.socket]:
    """Every IPv4 packet of an interface; raises OSError (PermissionError without root)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as wire:
        wire.bind((interface, _IPV4))
        yield wire


def listen(interface: str, deadline: Deadline, take: Callable[[bytes], object], ended: Callable[[], bool]) -> None:
    """Hand every IPv4 packet of the interface to ``take`` until the deadline or until ``ended``; nothing is sent.

    Raises OSError (PermissionError without root).
    """
    with _wire(interface) as wire:
        while not deadline.passed and not ended():
            wire.settimeout(max(0.01, min(deadline.left, LOOK)))
            with contextlib.suppress(TimeoutError):
                take(wire.recv(65535))


def ask(interface: str, macs: Mapping[Mac, IPv4Address | None], *, seconds: float = LISTEN) -> dict[Mac, list[Offer]]:
    """Send a DHCPDISCOVER for each of ``macs`` and return every different answer within ``seconds``, by MAC.

    A MAC's value is the address that it asks for (as UEFI), None for any (as BIOS).

    A machine's MAC shows what that machine will get. Nothing is ever requested: no lease is made. Raises OSError
    (PermissionError without root).
    """
    wanted = {mac: secrets.randbits(32) for mac in macs}
    found: dict[Mac, dict[Offer, None]] = {mac: {} for mac in macs}
    listening, again = Deadline(seconds), Deadline(0)
    with _wire(interface) as wire:
        while not listening.passed:
            if again.passed:
                for mac, transaction in wanted.items():
                    wire.sendto(discover(mac, transaction, macs[mac]), (interface, _IPV4, 0, 0, _EVERYBODY))
                again.start(RESEND)
            wire.settimeout(max(0.01, min(listening.left, again.left)))
            with contextlib.suppress(TimeoutError):
                packet = wire.recv(65535)
                for mac, transaction in wanted.items():
                    if (answer := offer(packet, mac, transaction)) is not None:
                        found[mac][answer] = None
    return {mac: list(answers) for mac, answers in found.items()}


def ask_boot_server(
    interface: str, server: IPv4Address, mac: Mac, own: IPv4Address, *, seconds: float = 3.0
) -> Offer | None:
    """What a server answers on port 4011 to a PXE client that has the address ``own``; None: nothing.

    Nothing is changed by it there. Raises OSError where the interface hasn't got the address ``own``.
    """
    transaction, listening, again = secrets.randbits(32), Deadline(seconds), Deadline(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        line.bind((str(own), 0))
        while not listening.passed:
            if again.passed:
                with contextlib.suppress(OSError):  # it may name any address as its own, one that can't be asked too
                    line.sendto(boot_request(mac, transaction, own), (str(server), BOOT_PORT))
                again.start(RESEND / 2)
            line.settimeout(max(0.01, min(listening.left, again.left)))
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                if (answer := boot_answer(line.recv(65535), server, mac, transaction)) is not None:
                    return answer
    return None
