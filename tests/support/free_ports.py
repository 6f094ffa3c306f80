"""Ports that a test may listen on a moment after it looked for them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

_EACH = 2000


def worker() -> int:
    """Which of pytest-xdist's processes this is; 0 without it."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _own() -> range:
    """Below the range that the kernel hands out by itself, and for each of four test processes its own."""
    first = 20000 + _EACH * (worker() % 4)
    return range(first, first + _EACH)


_PORTS = itertools.islice(itertools.cycle(_own()), os.getpid() % _EACH, None)
"""Another run's on this host begin elsewhere."""


def free_port() -> int:
    """A port on which nobody listens, by TCP or UDP, at any IPv4 address of this network namespace.

    One that the kernel hands out (port 0) is no such port: it may be anybody's a moment after it was closed.
    """
    for port in itertools.islice(_PORTS, _EACH):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("", port))
            udp.bind(("", port))
            return port
    raise AssertionError(f"all of the {_EACH} ports of this test process are in use")
