"""One run of verify: the requested checks, on a scene of their own, and their report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from nodisk.context import LabContext
from nodisk.errors import UsageError
from nodisk.verify.core import Check, Outcome, Result, run_checks
from nodisk.verify.scene import pace_line
from nodisk.verify.staging import staged


def choose(checks: Sequence[Check], *, quick: bool, only: Sequence[str]) -> list[Check]:
    """The checks to run; raises UsageError for an unknown name. Checks that use the echo pods bring ``pods`` along."""
    names = {one.name for one in checks}
    if wrong := [name for name in only if name not in names]:
        raise UsageError(f"unknown check {wrong[0]!r}", hint=f"checks: {', '.join(sorted(names))}")
    wanted = set(only) or {one.name for one in checks if one.quick or not quick}
    if wanted & {"pull", "pod-network", "service", "node-port", "dns", "access"}:
        wanted.add("pods")
    return [one for one in checks if one.name in wanted]


def run_all(
    context: LabContext,
    checks: Sequence[Check],
    *,
    keep: bool = False,
    quick: bool = False,
    tell: Callable[[Result | str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run the checks and return the report as JSON data. Raises Busy, or ApiError if the API can't be reached."""
    began = time.time()
    with staged(context, "verify", keep=keep, say=tell) as scene:
        tell(pace_line(scene))
        for check in checks:
            if check.prepare is not None:
                check.prepare(scene)
        results = run_checks([one for one in checks if not (keep and one.name == "leftovers")], scene, tell)
        pace = scene.pace
        run_id = scene.run_id
    counts = {str(kind): sum(one.outcome is kind for one in results) for kind in Outcome}
    return {
        "format": 1,
        "lab": str(context.lab.name),
        "run": run_id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 1),
        "pace": round(pace, 1),
        "quick": quick,
        "counts": counts,
        "checks": [one.to_json() for one in results],
    }
