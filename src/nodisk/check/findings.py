"""What a check finds: how bad it is, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad a finding is, from best to worst."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


ORDER = tuple(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check."""

    check: str
    """The check's name, one of ``runner.NAMES``."""
    level: Level
    message: str
    hint: str = ""
    """What to do; '' if there is nothing to do."""

    def as_json(self) -> dict[str, Any]:
        """The stable, documented form."""
        return {**asdict(self), "level": str(self.level)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Finding:
        """The reverse of ``as_json``."""
        return cls(value["check"], Level(value["level"]), value["message"], value["hint"])


def ok(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, hint: str = "") -> Finding:
    """The lab boots, but something is not as it should be, or could not be checked."""
    return Finding(check, Level.WARNING, message, hint)


def error(check: str, message: str, hint: str = "") -> Finding:
    """This would stop the lab."""
    return Finding(check, Level.ERROR, message, hint)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of the findings; ok if there are none."""
    return max((finding.level for finding in findings), key=ORDER.index, default=Level.OK)
