"""Who has an address on the server's segment, asked by ARP: the codec, and one question. Needs root (a packet socket).

ARP and not ping, which firewalls drop and which iPXE has not in every build.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from nodisk.values import Mac

log = logging.getLogger("nodisk.server")

WAIT = 0.5
"""Seconds: a device on the segment answers within milliseconds; a PC's firmware is waiting for us."""
AT_ONCE = 64
"""Questions at a time; each is a socket."""
_ARP = 0x0806
_FIELDS = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4, _REQUEST, _REPLY = 1, 0x0800, 1, 2
_EVERYBODY = b"\xff" * 6


def probe(sender: bytes, address: IPv4Address) -> bytes:
    """An ARP probe (RFC 5227 section 2.1.1): it names no address of the sender, so it changes no neighbour's table."""
    return _FIELDS.pack(_ETHERNET, _IPV4, 6, 4, _REQUEST, sender, bytes(4), bytes(6), address.packed)


def holder(packet: bytes, address: IPv4Address) -> Mac | None:
    """The NIC that says in ``packet`` that it has ``address``; None for any other packet, however broken."""
    if len(packet) < _FIELDS.size:
        return None
    hardware, protocol, long, short, kind, sender, has, _, _ = _FIELDS.unpack_from(packet)
    if (hardware, protocol, long, short, kind, has) != (_ETHERNET, _IPV4, 6, 4, _REPLY, address.packed):
        return None
    return Mac(int.from_bytes(sender, "big"))


@dataclass(slots=True)
class Neighbours:
    """Asks the segment of one interface."""

    interface: str
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def holder(self, address: IPv4Address) -> Mac | None:
        """Who has the address; None if nobody answers within ``WAIT``, or too many ask already."""
        if self._turns.locked():
            return None
        async with self._turns:
            try:
                return await self._ask(address)
            except OSError as error:  # the interface is down: then no machine asks either
                log.warning("no ARP probe for %s: %s", address, error)
                return None

    async def _ask(self, address: IPv4Address) -> Mac | None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ARP)) as wire:
            wire.setblocking(False)
            wire.bind((self.interface, _ARP))
            sender: bytes = wire.getsockname()[4]
            wire.sendto(probe(sender, address), (self.interface, _ARP, 0, 0, _EVERYBODY))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT):
                    while (found := holder(await loop.sock_recv(wire, 64), address)) is None:
                        pass
                    return found
            # What had come when the time was up, to a server that was busy with something else until then.
            with contextlib.suppress(BlockingIOError):
                while (found := holder(wire.recv(64), address)) is None:
                    pass
                return found
            return None
