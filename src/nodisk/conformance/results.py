"""What became of a spec, and how the JUnit says it that the suite writes.

The file is written by a program that this host runs, but holds what pods have printed: it is bounded, and a document
type (with which XML can be made to grow or to read files) is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

from nodisk.errors import IntegrityError

MAX_JUNIT = 64 * 1024**2
"""Bytes of a JUnit file that is read. One of 1.20 names all 5,500 specs, most as skipped: 1 MB."""
MAX_TEXT = 64 * 1024
"""Characters of a failure's text that are kept."""
_PULL = re.compile(r'(?:Failed to pull|Back-off pulling) image "([^"\s]{1,300})"')
"""How a kubelet's events say it, which the suite prints for a spec that failed."""


class _Plain(ElementTree.TreeBuilder):
    """Builds a document that has no document type, whatever its encoding: without one nothing can be expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse it before any entity is declared."""
        raise ValueError(f"it has a document type ({name:.20})")


class Outcome(StrEnum):
    """What became of a spec."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """It ran, and its process ended without a word about it."""
    SKIPPED = "skipped"
    """It did not run, for one of the reasons in ``Reason``."""


class Reason(StrEnum):
    """Why a spec was skipped: there is no other."""

    NODES = "nodes"
    """It needs more nodes than the cluster has."""
    SUITE = "suite"
    """The suite itself decided so; its words follow."""
    IMAGE = "image"
    """It needs a container image that can't be had here; it was tried, and a node couldn't pull that."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one spec."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    text: str = ""
    """Why it failed, is undecided, or was skipped."""
    reason: Reason | None = None
    """Only of a skipped one."""
    runs: int = 1
    """How often it ran: one that failed and then passed alone has 2, and the report says so."""

    def to_json(self) -> dict[str, Any]:
        """As the state and reports hold it."""
        return asdict(self)


def from_json(value: Any) -> Result:
    """What ``Result.to_json`` gave; raises IntegrityError for anything else."""
    try:
        reason = value["reason"]
        found = Result(
            name=value["name"],
            outcome=Outcome(value["outcome"]),
            seconds=float(value["seconds"]),
            text=value["text"],
            reason=None if reason is None else Reason(reason),
            runs=value["runs"],
        )
        if not (isinstance(found.name, str) and isinstance(found.text, str) and type(found.runs) is int):
            raise TypeError("a value is of another kind")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"a kept result can't be read: {type(error).__name__}: {error}") from error
    return found


def parse(data: bytes, wanted: Collection[str]) -> dict[str, Result]:
    """The results of the ``wanted`` specs in a JUnit document of Ginkgo 1; others aren't looked at.

    A spec that the focus left out has no result: it did not begin. Raises IntegrityError.
    """
    found: dict[str, Result] = {}
    wanted_ = set(wanted)
    for name, case in cases(data):
        if name in wanted_ and (result := _result(name, case)) is not None:
            found[name] = result
    return found


def names(data: bytes) -> list[str]:
    """The specs of a JUnit document of a dry run that the focus did not leave out. Raises IntegrityError."""
    return [name for name, case in cases(data) if case.find("skipped") is None]


def unpulled(data: bytes, images: Collection[str]) -> dict[str, str]:
    """Failed spec → the one of ``images`` that a node could not pull meanwhile, by what the JUnit has of its output.

    Raises IntegrityError.
    """
    found: dict[str, str] = {}
    for name, case in cases(data):
        if case.find("failure") is None:
            continue
        said = "\n".join(case.findtext(tag) or "" for tag in ("system-out", "failure"))
        if missed := next((one for one in _PULL.findall(said) if one in images), None):
            found[name] = missed
    return found


def cases(data: bytes) -> Iterator[tuple[str, ElementTree.Element]]:
    """Each test case of a JUnit document with its name, blanks single. Raises IntegrityError."""
    if len(data) > MAX_JUNIT:
        raise IntegrityError(f"the suite's JUnit has {len(data)} bytes, more than {MAX_JUNIT}")
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_Plain()))  # noqa: S314 - no document type
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise IntegrityError(f"the suite's JUnit can't be read: {error}") from error
    for case in root.iter("testcase"):
        yield " ".join(case.get("name", "").split()), case


def seconds_of(case: ElementTree.Element) -> float:
    """How long a case took; 0 where that is no number."""
    try:
        seconds = float(case.get("time", "0"))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0


def _result(name: str, case: ElementTree.Element) -> Result | None:
    seconds = seconds_of(case)
    for tag in ("failure", "error"):
        if (bad := case.find(tag)) is not None:
            return Result(name, Outcome.FAILED, seconds, text_of(bad) or "it failed without a word")
    if case.find("skipped") is not None:
        # Ginkgo 1 marks both alike: left out by the focus it took no time, skipped by its own code it did.
        return Result(name, Outcome.SKIPPED, seconds, "see the log", Reason.SUITE) if seconds else None
    return Result(name, Outcome.PASSED, seconds)


def text_of(element: ElementTree.Element) -> str:
    """What a failure says, bounded."""
    text = "\n".join(part for part in (element.get("message", ""), element.text or "") if part).strip()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "\n…"


def count(results: Mapping[str, Result], specs: Collection[str]) -> dict[str, int]:
    """How many of ``specs`` have which outcome; ``left``: those that have none yet."""
    counts = {str(kind): 0 for kind in Outcome} | {"left": 0}
    for name in specs:
        counts[str(results[name].outcome) if name in results else "left"] += 1
    return counts
