"""DNS messages for tests, made by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from nodisk.server.dns_message import encoded


def record(owner: bytes, kind: int, data: bytes, *, group: int = 1, ttl: int = 5) -> bytes:
    """A resource record; ``owner`` as it is in a message."""
    return owner + struct.pack("!HHIH", kind, group, ttl, len(data)) + data


def opt() -> bytes:
    """EDNS."""
    return record(b"\0", 41, b"", group=1232, ttl=0)


def message(
    name: tuple[bytes, ...],
    kind: int,
    *,
    number: int = 1,
    flags: int = 0x0100,
    group: int = 1,
    answers: Sequence[bytes] = (),
    others: Sequence[bytes] = (),
) -> bytes:
    """One question, and records."""
    head = struct.pack("!6H", number, flags, 1, len(answers), 0, len(others))
    return head + encoded(name) + struct.pack("!2H", kind, group) + b"".join((*answers, *others))
