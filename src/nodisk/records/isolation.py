"""What came of the last attempt of one student's pod to reach another's: written by who tried, read by ``status``.

A pod network that says it enforces NetworkPolicy may not: what counts is what two pods saw, and when.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

from nodisk import files
from nodisk.state import LabState

WORDS = {"ok": "kept apart", "gap": "reach each other", "hole": "REACH EACH OTHER", "untried": "not tried"}
"""Verdict (``classes.selftest.Finding``) → what it means for students' pods."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt."""

    verdict: str
    """A key of ``WORDS``."""
    happened: str
    """In a sentence."""
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""


def save(state: LabState, tried: Tried) -> None:
    """Keep it, unless nothing came of the attempt: an older one that did shows more."""
    if tried.verdict != "untried":
        text = json.dumps({"verdict": tried.verdict, "happened": tried.happened, "time": tried.time})
        files.write(state.isolation, text + "\n")


def last(state: LabState) -> Tried | None:
    """The last attempt; None: nobody has tried, or the record can't be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data: dict[str, Any] = json.loads(state.isolation.read_text(encoding="utf-8"))
        if data["verdict"] in WORDS:
            return Tried(data["verdict"], str(data["happened"]), float(data["time"]))
    return None
