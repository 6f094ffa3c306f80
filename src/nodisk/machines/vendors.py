"""Who made a NIC, by the first three bytes of its MAC, from the list that this host has.

The IEEE's list is large and changes every week, so nodisk brings none: Debian's ``ieee-data`` has it, and so does
udev, which most hosts have anyway.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nodisk.values import Mac

PACKAGE = "ieee-data"
FILES = (Path("/usr/share/ieee-data/oui.txt"), Path("/usr/lib/udev/hwdb.d/20-OUI.hwdb"))
LOCAL = "locally administered"
"""No maker: a virtual machine's, or one that somebody chose."""
_IEEE = re.compile(r"^([0-9A-F]{2})-([0-9A-F]{2})-([0-9A-F]{2})[ \t]+\(hex\)[ \t]+(.+?)\s*$", re.MULTILINE)
_UDEV = re.compile(r"^OUI:([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{2})\*\n ID_OUI_FROM_DATABASE=(.+?)\s*$", re.MULTILINE)


def vendors(macs: Iterable[Mac], files: Sequence[Path] = FILES) -> dict[Mac, str | None]:
    """The maker of each NIC; None where no list on this host knows it."""
    wanted = set(macs)
    known = _read(tuple(files)) if any(not _is_local(mac) for mac in wanted) else {}
    return {mac: known.get(mac.value >> 24) or (LOCAL if _is_local(mac) else None) for mac in wanted}


def listed(files: Sequence[Path] = FILES) -> bool:
    """Whether this host has a list."""
    return any(file.is_file() for file in files)


def _is_local(mac: Mac) -> bool:
    return bool(mac.value >> 40 & 2)


@functools.cache
def _read(files: tuple[Path, ...]) -> dict[int, str]:
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pattern = _UDEV if file.suffix == ".hwdb" else _IEEE
        return {int(a + b + c, 16): name for a, b, c, name in pattern.findall(text)}
    return {}
