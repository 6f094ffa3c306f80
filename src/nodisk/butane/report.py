"""What is wrong with a document, where, and how badly: the result of every check in this package.

A ``Problem`` is found at a path (``("storage", "files", 0, "mode")``); ``locate`` turns problems into the entries
of a ``Report``, each with the line and column of the deepest part of the document that exists on that path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from nodisk.butane.paths import Path
from nodisk.butane.yamltree import Node

Severity = Literal["error", "warning", "info"]


class Problem(NamedTuple):
    """A finding before its position is known."""

    severity: Severity
    path: Path
    message: str


class Entry(NamedTuple):
    """One message. ``line`` and ``column`` count from 1; what is not known is None."""

    severity: Severity
    message: str
    path: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """One line, as ``butane --raw-errors`` prints it."""
        where = [] if self.path is None else [self.path]
        if self.line is not None:
            where.append(f"line {self.line}" + (f" col {self.column}" if self.column is not None else ""))
        return f"{self.severity}{' at ' + ', '.join(where) if where else ''}: {self.message}"


class Report:
    """All messages about one document, and the words that sum up why it failed.

    ``failure`` is None if it did not, and "" if the messages are all there is to say.
    """

    __slots__ = ("entries", "failure")

    def __init__(self, entries: Iterable[Entry] = (), failure: str | None = None) -> None:
        self.entries: tuple[Entry, ...] = tuple(entries)
        self.failure = failure

    @property
    def fatal(self) -> bool:
        """Whether an entry is an error, or the translation failed otherwise."""
        return self.failure is not None or any(entry.severity == "error" for entry in self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and (self.entries, self.failure) == (other.entries, other.failure)

    def __hash__(self) -> int:
        return hash((self.entries, self.failure))

    def __str__(self) -> str:
        lines = [str(entry) for entry in self.entries]
        if self.failure:
            lines.append(self.failure)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Report({list(self.entries)!r}, failure={self.failure!r})"


class Findings:
    """Problems as rules report them, in the order found."""

    __slots__ = ("problems",)

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def error(self, path: Path, message: str) -> None:
        """The document can't be used."""
        self.problems.append(Problem("error", path, message))

    def warn(self, path: Path, message: str) -> None:
        """The document can be used, but probably does not do what was meant."""
        self.problems.append(Problem("warning", path, message))

    @property
    def fatal(self) -> bool:
        """Whether an error is among them."""
        return any(problem.severity == "error" for problem in self.problems)


def path_text(path: Path) -> str:
    """``$.storage.files.0.mode``."""
    return ".".join(["$", *map(str, path)])


def locate(problems: Iterable[Problem], root: Node | None) -> list[Entry]:
    """Entries with positions: that of the path, or of its deepest parent that is in the document."""
    entries = []
    for severity, path, message in problems:
        line, column = root.position(path) if root is not None else (None, None)
        entries.append(Entry(severity, message, path_text(path) if path else None, line, column))
    return entries
