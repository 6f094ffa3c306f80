"""Whether a daemon answers: each is asked in its own protocol, at the address that machines use.

They use ``asyncio.timeout`` and not ``wait_for``, which in Python 3.11 loses a cancellation that arrives together with
the result: a probe must not outlive the start that runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import socket
import ssl
import struct
from ipaddress import IPv4Address
from pathlib import Path

from nodisk import ports

TIMEOUT = 3.0


async def tcp(address: IPv4Address, port: int) -> bool:
    """Somebody accepts connections."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(str(address), port)
        writer.close()
        return True
    return False


async def http_unix(path: Path, target: str) -> bool:
    """An HTTP server on a unix socket answers 200."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_unix_connection(str(path))
        return await _get(reader, writer, target, "localhost")
    return False


async def https(address: IPv4Address, port: int, target: str, context: ssl.SSLContext) -> bool:
    """An HTTPS server answers 200, and its certificate is good."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(
                str(address), port, ssl=context, server_hostname=str(address)
            )
        return await _get(reader, writer, target, str(address))
    return False


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, host: str) -> bool:
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await reader.readline()
    finally:
        writer.close()
    return b" 200 " in line


async def dns(address: IPv4Address, name: str, *, port: int = ports.DNS) -> bool:
    """A DNS server knows the name (an A record)."""
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    answer = await _udp(address, port, struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1")
    if answer is None or len(answer) < 12:
        return False
    got, flags, _, answers, _, _ = struct.unpack("!6H", answer[:12])
    return bool(got == number and flags & 0xF == 0 and answers > 0)


async def ntp(address: IPv4Address) -> bool:
    """A time server answers (mode 4 to our mode 3, RFC 5905)."""
    answer = await _udp(address, ports.NTP, b"\x23" + bytes(47))
    return answer is not None and len(answer) >= 48 and answer[0] & 7 == 4


async def _udp(address: IPv4Address, port: int, packet: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            await loop.sock_connect(sock, (str(address), port))
            await loop.sock_sendall(sock, packet)
            async with asyncio.timeout(0.5):
                return await loop.sock_recv(sock, 2048)
    return None


def give_to(path: Path, user: str) -> bool:
    """Let ``user`` (nginx' workers) connect to a unix socket that root's daemon made; False: it isn't there yet."""
    try:
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        path.chmod(0o600)
    except FileNotFoundError:
        return False
    return True
