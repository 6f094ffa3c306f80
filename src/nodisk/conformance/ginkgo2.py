"""JUnit of Ginkgo 2, of which Kubernetes' suite is from 1.25 on: what it says of each spec.

A spec's case is called ``[It] `` and its whole text, and after that ``[LABEL, LABEL]`` where labels aren't left out, as
the suite leaves them out from 1.29 on. ``status`` is the word for its end. What the focus left out is ``skipped``; what
skipped itself says why: ``skipped - Requires at least 2 nodes (not 1)``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.etree import ElementTree

from nodisk.conformance import results
from nodisk.conformance.results import Outcome, Reason, Result
from nodisk.conformance.suite import FEW_NODES, PREPARATION

_SPEC = "[It] "
_BEFORE = ("[BeforeSuite]", "[SynchronizedBeforeSuite]")
"""What comes before all specs; each process that runs some has a case of it."""
_LABELS = re.compile(r" \[[^\[\]]*\]$")
_INTERRUPTED = ("interrupted", "aborted")
"""Ends that say nothing of the spec: somebody ended the suite."""
_WORST = (Outcome.PASSED, Outcome.SKIPPED, Outcome.UNDECIDED, Outcome.FAILED)


def parse(data: bytes, wanted: Collection[str]) -> dict[str, Result]:
    """The results of the ``wanted`` specs; others aren't looked at. ``PREPARATION`` is what comes before all specs.

    A spec that the focus left out has no result. Raises IntegrityError.
    """
    exact: dict[str, Result] = {}
    labelled: dict[str, Result] = {}
    wanted_ = set(wanted)
    for title, case in results.cases(data):
        name = PREPARATION if title in _BEFORE else title.removeprefix(_SPEC)
        found = exact
        if name not in wanted_:
            name, found = _LABELS.sub("", name), labelled
        if name in wanted_ and (result := _result(name, case)) is not None:
            found[name] = max(found.get(name, result), result, key=lambda one: _WORST.index(one.outcome))
    return labelled | exact


def names(data: bytes) -> list[str]:
    """The specs of a dry run that the focus did not leave out. Raises IntegrityError."""
    return [
        title.removeprefix(_SPEC)
        for title, case in results.cases(data)
        if title.startswith(_SPEC) and case.find("skipped") is None
    ]


def _result(name: str, case: ElementTree.Element) -> Result | None:
    seconds, status = results.seconds_of(case), case.get("status", "")
    for tag in ("failure", "error"):
        if (bad := case.find(tag)) is not None:
            outcome = Outcome.UNDECIDED if status in _INTERRUPTED else Outcome.FAILED
            return Result(name, outcome, seconds, results.text_of(bad) or f"{status or 'failed'} without a word")
    if (skipped := case.find("skipped")) is not None:
        why = results.text_of(skipped).partition(" - ")[2]
        reason = Reason.NODES if FEW_NODES.search(why) else Reason.SUITE
        return Result(name, Outcome.SKIPPED, seconds, why, reason) if why else None
    if status != "passed":
        return Result(name, Outcome.UNDECIDED, seconds, f"the suite's JUnit gives it the status {status!r:.40}")
    return Result(name, Outcome.PASSED, seconds)
