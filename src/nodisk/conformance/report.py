"""A run's report: for people, for programs, for CI systems. Nothing is left out of it in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodisk.conformance.causes import Cause
from nodisk.conformance.records import Plan
from nodisk.conformance.results import Outcome, Result, count
from nodisk.conformance.specs import POLICIES
from nodisk.junit import Case, junit

_NONE: Mapping[str, Cause] = {}


def report(plan: Plan, results: Mapping[str, Result], causes: Mapping[str, Cause] = _NONE) -> dict[str, Any]:
    """The report as JSON data (format 1), every chosen spec in it, in the order of their names.

    ``causes``: why specs didn't pass, as far as a person has understood it.
    """
    names = [spec.name for spec in plan.specs]
    counts = count(results, names)
    whole = len(names) == plan.official and plan.mode != POLICIES
    return {
        **{key: value for key, value in plan.to_json().items() if key != "specs"},
        "chosen": len(names),
        "counts": counts,
        # What the word means: every spec of the release ran, and passed.
        "conformant": whole and counts["passed"] == len(names) and not plan.substitutes,
        "why_not": why_not(plan, counts),
        "seconds": round(sum(result.seconds for result in results.values()), 1),
        "specs": [
            (results[name].to_json() if name in results else _left(name)) | {"cause": _cause(name, results, causes)}
            for name in sorted(names)
        ],
    }


def why_not(plan: Plan, counts: Mapping[str, int]) -> list[str]:
    """Why this run proves no conformance, one sentence each; empty if it does."""
    if plan.mode == POLICIES:
        return ["these are the suite's specs of NetworkPolicy, of which none belongs to conformance"]
    found = []
    if (left_out := plan.official - len(plan.specs)) > 0:
        found.append(f"{left_out} of the release's {plan.official} specs were not chosen")
    words = {"failed": "failed", "undecided": "are undecided", "skipped": "were skipped", "left": "have not run yet"}
    found += [f"{counts[key]} specs {word}" for key, word in words.items() if counts[key]]
    if plan.substitutes:
        found.append(f"{len(plan.substitutes)} of the suite's container images are substitutes")
    return found


def to_junit(plan: Plan, results: Mapping[str, Result], causes: Mapping[str, Cause] = _NONE) -> str:
    """All chosen specs as JUnit; an undecided one or one that has not run yet counts as failed: it proves nothing.

    A spec's cause and the reason for which it was skipped are properties of its case.
    """
    cases = []
    for spec in sorted(plan.specs, key=lambda one: one.name):
        one = results.get(spec.name)
        if one is None:
            cases.append(Case(spec.name, "failed", "it has not run yet"))
        elif one.outcome is Outcome.PASSED:
            cases.append(Case(spec.name, "ok", _again(one), one.seconds))
        elif one.outcome is Outcome.SKIPPED:
            more = {"reason": str(one.reason)}
            cases.append(Case(spec.name, "skipped", f"{one.reason}: {one.text}", one.seconds, more))
        else:
            more = _cause(spec.name, results, causes) or {}
            cases.append(Case(spec.name, "failed", f"{one.outcome}: {one.text}", one.seconds, more))
    return junit("Kubernetes e2e suite", cases, seconds=sum(one.seconds for one in results.values()))


def lines(plan: Plan, results: Mapping[str, Result], causes: Mapping[str, Cause] = _NONE) -> list[str]:
    """The report for people: first what didn't pass, then substitutes, at the end the counts and what they mean."""
    found: list[str] = []
    for one in sorted(results.values(), key=lambda result: result.name):
        if one.outcome is Outcome.PASSED:
            if again := _again(one):
                found.append(f"passed     {one.name} ({again})")
            continue
        why = f"{one.reason}: {one.text}" if one.reason else one.text
        found.append(f"{one.outcome.upper():10} {one.name}")
        found += [f"           {line}" for line in why.splitlines()[:6]]
        if (cause := causes.get(one.name)) is not None:
            found.append(f"           cause: {cause}")
    found += [f"substitute {image}: {what}" for image, what in sorted(plan.substitutes.items())]
    counts = count(results, [spec.name for spec in plan.specs])
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    found.append(f"{told} of {len(plan.specs)} chosen specs; Kubernetes {plan.version} has {plan.official}")
    failed = [one.name for one in results.values() if one.outcome is Outcome.FAILED]
    if unexplained := sum(name not in causes for name in failed):
        found.append(f"without a known cause: {unexplained} of {len(failed)} failures")
    reasons = why_not(plan, counts)
    found.append(f"no proof of conformance: {'; '.join(reasons)}" if reasons else "every spec of the release passed")
    return found


def _cause(name: str, results: Mapping[str, Result], causes: Mapping[str, Cause]) -> dict[str, str] | None:
    """A spec's cause, unless it has passed, or has not run."""
    if name not in results or results[name].outcome is Outcome.PASSED or name not in causes:
        return None
    return causes[name].to_json()


def _again(result: Result) -> str:
    return f"only in run {result.runs}, alone" if result.runs > 1 else ""


def _left(name: str) -> dict[str, Any]:
    return {"name": name, "outcome": "left", "seconds": 0.0, "text": "", "reason": None, "runs": 0}
