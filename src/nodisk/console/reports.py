"""The reports of ``nodisk verify`` and ``nodisk bench`` that the lab's folder holds: what they say, and their files.

Nothing but a name that such a report has leads to a file, and no link is followed out of the folder.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

MOST = 50
"""The newest reports that are shown."""
LARGEST = 32 << 20
"""Bytes of a report's file."""
_MOST_VALUE = 1e100
"""Nothing that is measured is more; differences and ratios of such values stay finite."""
# Times as the two commands write them: 20261130T091500Z and 20261130-091500.
_NAME = re.compile(r"((verify|bench)-([0-9]{8})[T-]([0-9]{6})Z?)\.(json|html|xml)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and in which unit."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One measure through the reports that are shown, in the unit of the newest."""

    name: str
    unit: str
    values: tuple[float, ...]
    """Oldest first; at least two."""

    @property
    def before(self) -> float:
        """The median of all but the newest."""
        return median(self.values[:-1])

    @property
    def ratio(self) -> float | None:
        """The newest to the median of those before; None where that is 0."""
        return self.values[-1] / self.before if self.before else None

    @property
    def line(self) -> str:
        """The values as points of a line, 100 wide and 20 high (SVG 1.1, 9.6)."""
        low, high = min(self.values), max(self.values)
        step, span = 100 / (len(self.values) - 1), (high - low) or 1.0
        return " ".join(
            f"{place * step:.1f},{20 * (1 - (value - low) / span):.1f}" for place, value in enumerate(self.values)
        )


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
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """What ``bench`` measured, by name."""


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


def trends(reports: Sequence[Report]) -> tuple[Trend, ...]:
    """Each measure of the newest bench that an earlier one of these (newest first) has too. Pure."""
    runs = [one.figures for one in reports if one.figures]
    if not runs:
        return ()
    found = []
    for name, newest in runs[0].items():
        same = [run[name].value for run in runs if name in run and run[name].unit == newest.unit]
        if len(same) > 1:
            found.append(Trend(name, newest.unit, tuple(reversed(same))))
    return tuple(found)


def figures(report: Any) -> dict[str, Figure]:
    """What a report's JSON says was measured; nothing of what isn't a number. Pure."""
    measures = report.get("measures") if isinstance(report, Mapping) else None
    return dict(_figures(measures if isinstance(measures, list) else []))


def _figures(measures: list[Any]) -> Iterator[tuple[str, Figure]]:
    for one in measures:
        if not isinstance(one, Mapping):
            continue
        name, value, unit = one.get("name"), one.get("value"), one.get("unit")
        if isinstance(name, str) and isinstance(unit, str) and isinstance(value, int | float):
            with contextlib.suppress(OverflowError):  # JSON's integers have no end
                if math.isfinite(float(value)) and abs(float(value)) < _MOST_VALUE:
                    yield name, Figure(float(value), unit)


def _report(folder: Path, stem: str, files: tuple[str, ...]) -> Report:
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(read(folder, f"{stem}.json") or b"")
    return Report(stem, stem.partition("-")[0], *verdict(content), files, figures(content))
