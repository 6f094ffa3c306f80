"""Versions as CoreOS' programs read them: three numbers, perhaps with ``-`` and ``+`` parts."""

from __future__ import annotations

from typing import NamedTuple

from nodisk.butane.gojson import quote
from nodisk.butane.pattern import Pattern

_IDENTIFIER = Pattern(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*")
_DIGITS = Pattern(r"[0-9]+")
_MAX = 2**63 - 1


class BadVersion(ValueError):
    """It is not a version; the text says why, in Go's words."""


class Version(NamedTuple):
    """Two that are written differently are the same (``1.05.0-`` and ``1.5.0``)."""

    major: int
    minor: int
    patch: int
    before: str = ""
    """What it is a version before: ``alpha``."""
    build: str = ""

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        return text + (f"-{self.before}" if self.before else "") + (f"+{self.build}" if self.build else "")

    def older(self, major: int, minor: int, patch: int) -> bool:
        """Whether it comes before ``major.minor.patch``."""
        numbers = self[:3]
        return numbers < (major, minor, patch) or (numbers == (major, minor, patch) and self.before != "")


def parse(text: str, *, lax: bool = False) -> Version:
    """Raises BadVersion. ``lax``: what follows the numbers may be anything."""
    rest, _, build = text.partition("+")
    rest, _, before = rest.partition("-")
    parts = rest.split(".", 2)
    if len(parts) != 3:
        raise BadVersion(f"{rest} is not in dotted-tri format")
    if not lax:
        for name, part in (("pre-release", before), ("metadata", build)):
            if part and not _IDENTIFIER.fullmatch(part):
                raise BadVersion(f"failed to validate {name}: {part} is not a valid semver identifier")
    major, minor, patch = map(_number, parts)
    return Version(major, minor, patch, before, build)


def _number(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise BadVersion(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("0") or "0"
    if len(digits) > 19 or int(digits) > _MAX:
        raise BadVersion(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return int(digits)
