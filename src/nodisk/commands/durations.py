"""Lengths of time on the command line."""

from __future__ import annotations

import re
from typing import Any

import click

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 365 * 86400.0
"""Seconds of an armed window that ends."""


def span(text: str) -> float | None:
    """The seconds of ``90s``, ``15m``, ``2h`` or ``1d``; None for anything else."""
    match = _DURATION.fullmatch(text)
    return None if match is None else float(match.group(1)) * _SECONDS[match.group(2)]


class Duration(click.ParamType[float]):
    """``90s``, ``15m``, ``2h``, ``1d``, and ``always`` for a window without an end; seconds come out."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of a text."""
        if isinstance(value, float):
            return value
        if value == "always":
            return float("inf")
        seconds = span(str(value))
        if seconds is None:
            self.fail(f"invalid duration {value!r}: use a form like 90s, 15m, 2h or 1d", param, ctx)
        if seconds > LONGEST:
            self.fail(f"{value!r} is too long: use at most 365d, or always", param, ctx)
        return seconds
