"""The chunk manifest of a rootfs: with it, a machine checks every chunk on arrival, wherever it came from.

Its text is what ``assets/recipes/peers/content.c`` reads::

    nodisk-chunks 1 CHUNK_SIZE FILE_SIZE FILE_SHA256
    SHA256 of the first chunk
    …

Its own SHA-256 is on the kernel's command line, beside the file's: trust stays where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

SMALLEST = 256 * 1024
"""Bytes of a chunk. The first round of a room of 100 is 25 MiB: soon every machine has something to give."""
MOST = 4096
"""Chunks of a file, as the program allows (``CHUNKS_MAX``): larger files have larger chunks."""
FILE = "root.chunks"
"""Its name beside ``root.squashfs``."""


def chunk_size(size: int) -> int:
    """Bytes of a chunk for a file of so many bytes: the smallest power of two that is enough."""
    found = SMALLEST
    while found * MOST < size:
        found *= 2
    return found


def manifest(read: Callable[[int], bytes], size: int, *, step: int = 0) -> str:
    """The text for a file of ``size`` bytes, of which ``read(n)`` gives the next n (as a file's ``read``).

    ``step``: another size of chunks than the usual one, of at least 4096 bytes.

    Raises ValueError for an empty file, or one that has not ``size`` bytes.
    """
    if size <= 0:
        raise ValueError("an empty file has no chunks")
    step = step or chunk_size(size)
    whole, lines = hashlib.sha256(), []
    for start in range(0, size, step):
        chunk = read(min(step, size - start))
        if len(chunk) != min(step, size - start):
            raise ValueError(f"the file ends after {start + len(chunk)} of {size} bytes")
        whole.update(chunk)
        lines.append(hashlib.sha256(chunk).hexdigest())
    if read(1):
        raise ValueError(f"the file has more than {size} bytes")
    return "\n".join((f"nodisk-chunks 1 {step} {size} {whole.hexdigest()}", *lines, ""))
