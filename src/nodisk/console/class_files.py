"""Files of a class that browsers may have: handouts, cards with codes. Their folder is perhaps somebody's own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST = 64 * 1024 * 1024
"""Bytes of a file."""


def read(path: Path, *, once: bool = False) -> bytes | None:
    """What is in a file, which is no link and not too large; None: there is none. ``once``: it is deleted by that.

    Of several who take the same file once, one gets it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size > MOST:
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        if once:
            try:
                path.unlink()
            except FileNotFoundError:  # somebody else was faster
                return None
        return file.read(MOST)
