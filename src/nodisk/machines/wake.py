"""Switching real machines on over the network: Wake-on-LAN's magic packet, and how it is sent."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from nodisk.errors import EnvironmentProblem
from nodisk.values import Mac

PORT = 9
"""UDP's discard port, by custom: the NIC looks for the pattern wherever it is in a frame."""
ROUNDS = 3
"""Nobody answers, so each packet is sent a few times."""
PAUSE = 0.1


def magic(mac: Mac) -> bytes:
    """The pattern that a sleeping NIC looks for: six bytes FF, then its address sixteen times."""
    return b"\xff" * 6 + mac.value.to_bytes(6, "big") * 16


def send(macs: Sequence[Mac], *, server: IPv4Address, subnet: IPv4Network, interface: str) -> None:
    """Broadcast the packets on the lab's segment from the server's interface; raises EnvironmentProblem."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        try:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            wire.bind((str(server), 0))
            for number in range(ROUNDS):
                time.sleep(PAUSE if number else 0)
                for mac in macs:
                    wire.sendto(magic(mac), (str(subnet.broadcast_address), PORT))
        except OSError as error:
            raise EnvironmentProblem(
                f"can't send from {server} on {interface}: {error.strerror or error}",
                hint="run this as root on the lab's server, with its network interface up",
            ) from error
