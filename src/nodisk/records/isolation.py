"""The result of the latest attempt of one student's pod to reach another's: written by the test, read by ``status``.

A pod network that claims to enforce NetworkPolicy may not do so: what counts is what two pods experienced, and when.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nodisk import files
from nodisk.state import LabState

WORDS = {
    "ok": "kept apart",
    "unsure": "kept apart, but by nothing that nodisk knows",
    "gap": "reach each other",
    "hole": "NOT KEPT APART",
    "untried": "not tried",
}
"""Verdict (``classes.selftest.Finding``) → what it means for students' pods."""

# Seconds since 1970 that a record can hold: of the years 2000 to 9999, which a date can be made of.
_EARLIEST, _LATEST = 946_684_800.0, 253_402_300_799.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt."""

    verdict: str
    """A key of ``WORDS``."""
    happened: str
    """In a sentence."""
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""


def save(state: LabState, tried: Tried, *, of: Sequence[str]) -> None:
    """Record it, unless the attempt had no result: an older one with a result says more.

    ``of``: the cluster that was tried (``assets.built.cluster``).
    """
    if tried.verdict != "untried":
        data = {"verdict": tried.verdict, "happened": tried.happened, "time": tried.time, "of": list(of)}
        files.write(state.isolation, json.dumps(data) + "\n")


def last(state: LabState, *, of: Sequence[str]) -> Tried | None:
    """The latest attempt; None: not tried with this cluster, or the record can't be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        data: dict[str, Any] = json.loads(state.isolation.read_text(encoding="utf-8"))
        when = float(data["time"])
        if data["verdict"] in WORDS and data["of"] == list(of) and _EARLIEST <= when <= _LATEST:
            return Tried(data["verdict"], str(data["happened"]), when)
    return None
