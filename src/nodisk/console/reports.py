"""The reports of ``nodisk verify`` and ``nodisk bench`` that the lab's folder holds: what they say, and their files.

Nothing but a name that such a report has leads to a file, and no link is followed out of the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 50
"""The newest reports that are shown."""
LARGEST = 32 << 20
"""Bytes of a report's file."""
# Times as the two commands write them: 20261130T091500Z and 20261130-091500.
_NAME = re.compile(r"((verify|bench)-([0-9]{8})[T-]([0-9]{6})Z?)\.(json|html|xml)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a command."""

    stem: str
    command: str
    """``verify`` or ``bench``."""
    time: str
    """When it began, as the report says it; '' if it doesn't."""
    verdict: str
    """How many results of each sort, such as ``18 ok, 1 failed``; '' if it can't be read."""
    failed: bool
    files: tuple[str, ...]
    """Their names, sorted."""


def found(folder: Path) -> tuple[Report, ...]:
    """The newest reports, newest first."""
    files: dict[str, list[str]] = {}
    stamps: dict[str, tuple[str, str]] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)):
            if match := _NAME.fullmatch(name):
                files.setdefault(match[1], []).append(name)
                stamps[match[1]] = (match[3] + match[4], match[1])
    newest = sorted(files, key=stamps.__getitem__, reverse=True)[:MOST]
    return tuple(_report(folder, stem, tuple(files[stem])) for stem in newest)


def read(folder: Path, name: str) -> bytes | None:
    """A report's file; None if there is none of that name."""
    if not _NAME.fullmatch(name):
        return None
    with contextlib.suppress(OSError):
        # O_NOFOLLOW: whoever may write into the folder can't have the server hand out another file.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and len(content := file.read(LARGEST + 1)) <= LARGEST:
                return content
    return None


def verdict(report: Any) -> tuple[str, str, bool]:
    """Time, verdict and failure of a report's JSON, of either command. Pure."""
    if not isinstance(report, Mapping):
        return "", "", False
    header = report.get("header")
    time = report.get("time", header.get("time") if isinstance(header, Mapping) else None)
    counts = report.get("counts")
    if not isinstance(counts, Mapping):
        measures = report.get("measures")
        listed = [one for one in measures if isinstance(one, Mapping)] if isinstance(measures, list) else []
        counts = Counter(str(one.get("verdict")) for one in listed)
    numbers = {str(word): number for word, number in counts.items() if isinstance(number, int) and number > 0}
    words = ", ".join(f"{number} {word}" for word, number in numbers.items() if word != "none")
    return time if isinstance(time, str) else "", words, not {"failed", "fail"}.isdisjoint(numbers)


def _report(folder: Path, stem: str, files: tuple[str, ...]) -> Report:
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(read(folder, f"{stem}.json") or b"")
    return Report(stem, stem.partition("-")[0], *verdict(content), files)
