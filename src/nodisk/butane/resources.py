"""Content → ``data:`` URL: escaped, base64 or compressed, whichever is shortest."""

from __future__ import annotations

import binascii
import zlib

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_ESCAPED = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]
_SMALLEST_GZIP = 36  # ";base64," and the base64 of 20 bytes: nothing shorter can win


def escape(data: bytes) -> str:
    """Percent-escaped, except letters, digits and ``-_.!~*'()``."""
    return "".join(map(_ESCAPED.__getitem__, data))


def base64(data: bytes) -> str:
    """``;base64,`` and the data."""
    return ";base64," + binascii.b2a_base64(data, newline=False).decode()


def data_url(data: bytes, compression: str | None) -> tuple[str, str | None]:
    """(URL, what to write as ``compression``; None: leave it as the user gave it).

    ``compression``: what the user says the content already is. Base64 wins only where it is strictly shorter, gzip
    only where it pays for the word ``gzip`` too. An empty compression is written so that a config that is merged
    over another one doesn't inherit the other's.
    """
    best = "," + escape(data)
    encoded = base64(data)
    if len(encoded) < len(best):
        best = encoded
    if compression:
        return "data:" + best, None
    if len(best) > _SMALLEST_GZIP:
        squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = base64(squeezer.compress(data) + squeezer.flush())
        if len(packed) + len("gzip") < len(best):
            return "data:" + packed, "gzip"
    return "data:" + best, ""
