"""A run of conformance specs as ``nodisk conformance`` begins it, for tests of what runs and records them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodisk.conformance.records import Plan, Run
from nodisk.conformance.specs import Spec


def begun(folder: Path, names: Sequence[str], *, official: int | None = None) -> Run:
    """A new run of these specs in ``folder``. ``official``: how many the release has; None: these are all."""
    return Run.begin(
        folder,
        Plan(
            lab="room",
            version="1.20.2",
            suite="a test's",
            mode="certified",
            focus=None,
            began="2027-01-31T08:15:00Z",
            specs=tuple(map(Spec, names)),
            official=len(names) if official is None else official,
            substitutes={},
        ),
    )
