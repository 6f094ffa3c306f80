"""Why a spec failed, once a person has understood it: a file beside a run's results, ``causes.yaml``.

::

    - spec: '[sig-network] DNS should provide DNS for the cluster [Conformance]'
      cause: release
      link: https://github.com/kubernetes/kubernetes/pull/12345
      words: mended in 1.20.5

A program can't tell whose fault a failure is, so it changes no outcome: what failed has failed, and is explained.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from nodisk.errors import UsageError

NAME = "causes.yaml"
_KEYS = {"spec", "cause", "link", "words"}
_LINK = re.compile(r"https?://[^\s<>\"]{1,500}")


class Kind(StrEnum):
    """Whose fault it is: there is no other."""

    NODISK = "nodisk"
    """nodisk's own."""
    RELEASE = "release"
    """Of this release of Kubernetes; a link shows it."""
    SLOW = "slow"
    """The machines were too slow for a time-out inside the spec."""
    IMAGE = "image"
    """Of an image that stands in for the official one."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a spec failed."""

    kind: Kind
    link: str = ""
    words: str = ""

    def __str__(self) -> str:
        more = ": ".join(text for text in (self.link, self.words) if text)
        return f"{self.kind} ({more})" if more else str(self.kind)

    def to_json(self) -> dict[str, str]:
        """As reports hold it; what wasn't said is left out."""
        listed = {"cause": str(self.kind), "link": self.link, "words": self.words}
        return {key: value for key, value in listed.items() if value}


def load(path: Path, specs: Collection[str]) -> dict[str, Cause]:
    """Spec → its cause, from the file; empty if there is none. Raises UsageError that says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    try:
        return parse(text, specs)
    except ValueError as error:
        raise UsageError(f"{path}: {error}", hint="docs/how-to/conformance.md shows what it holds") from error


def parse(text: str, specs: Collection[str]) -> dict[str, Cause]:
    """The same from the file's text; ``specs``: those of the run. Raises ValueError."""
    try:
        entries = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from error
    if entries is None:
        return {}
    if not isinstance(entries, list):
        raise ValueError("it is no list")
    found: dict[str, Cause] = {}
    for number, entry in enumerate(entries, 1):
        try:
            name, cause = _entry(entry)
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from error
        if name not in specs:
            raise ValueError(f"entry {number}: the run has no spec {name!r}")
        if name in found:
            raise ValueError(f"entry {number}: {name!r} has a cause already")
        found[name] = cause
    return found


def _entry(entry: Any) -> tuple[str, Cause]:
    if not isinstance(entry, dict) or not all(isinstance(word, str) for pair in entry.items() for word in pair):
        raise ValueError("it has texts only: spec, cause, and perhaps link and words")
    if unknown := sorted(set(entry) - _KEYS):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(sorted(_KEYS))}")
    kinds = [str(kind) for kind in Kind]
    if entry.get("cause") not in kinds:
        raise ValueError(f"cause is {entry.get('cause')!r}, and must be one of {', '.join(kinds)}")
    link = entry.get("link", "")
    if link and not _LINK.fullmatch(link):
        raise ValueError(f"link {link!r} is no address that begins with https://")
    if entry["cause"] == Kind.RELEASE and not link:
        raise ValueError("a fault of the release needs a link that shows it")
    return " ".join(entry.get("spec", "").split()), Cause(Kind(entry["cause"]), link, entry.get("words", ""))
