"""Content → ``data:`` URL: escaped, base64 or compressed, whichever is shortest."""

from __future__ import annotations

import binascii
import zlib

from nodisk.butane import deflate

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_ESCAPED = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]
_NEAR = 16  # characters
_SMALL = 512
_HEAD_AND_SUM = 18  # what gzip adds to the deflated data
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
        packed = _gzip(data)
        if _pays(data, len(packed), len(best)):
            return "data:" + base64(packed), "gzip"
    return "data:" + best, ""


def _gzip(data: bytes) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return squeezer.compress(data) + squeezer.flush()


def _pays(data: bytes, packed: int, best: int) -> bool:
    """Whether Butane compresses ``data``; zlib packs it into ``packed`` bytes, and uncompressed it takes ``best``.

    Go's compressor ends what it writes with an empty block, which takes four or five bytes, and is a few bytes better
    or worse besides. Only where so few bytes decide, and there are not many to look at, its exact length is computed.
    """
    margin = _written(packed + 5) - best
    if abs(margin) > _NEAR or len(data) > _SMALL:
        return margin < 0

    return _written(deflate.size(data) + _HEAD_AND_SUM) < best


def _written(size: int) -> int:
    """Characters that ``size`` bytes of gzip take: base64, what announces it, and the value of ``compression``."""
    return len(";base64,") + (size + 2) // 3 * 4 + len("gzip")
