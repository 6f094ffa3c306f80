"""The examples of the documentation, as data.

Every ``console`` block of README.md and docs/ says in a comment right above it how it is proved::

    <!-- test: unit -->         run in an empty folder, no root, seconds
    <!-- test: api -->          run against a real API server
    <!-- test: lab -->          run on the booted virtual lab
    <!-- test: by make lab -->  the named command is itself what CI or a tier runs
    <!-- test: not run: WHY --> only where it can't be: a real room, say

In a block, a line that starts with ``$ `` is a command (continued by a final backslash), the lines after it are what
it prints. ``...`` stands for any text, on a line of its own for any lines. A block without such lines is not checked
for its output, only that its commands succeed; ``$ false  # exit 1`` names another status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\s*$")
_MARK = re.compile(r"^<!-- test: (.+?) -->$")
_STATUS = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of an example and what it prints."""

    command: str
    status: int
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One ``console`` block."""

    file: Path
    line: int
    proof: str
    steps: tuple[Step, ...]

    @property
    def where(self) -> str:
        """For a test's name."""
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README.md and all of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(page: Path) -> Iterator[Example]:
    """The console blocks of a page, in order; a block without a mark has the proof ''."""
    mark, lines = "", page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if fence := _FENCE.match(line):
            end = next(i for i in range(number + 1, len(lines)) if lines[i].startswith("```"))
            if fence[1] == "console":
                yield Example(page, number + 1, mark, tuple(_steps(lines[number + 1 : end])))
            mark, number = "", end
        elif line.strip():
            found = _MARK.match(line.strip())
            mark = found[1] if found else ""
        number += 1


def _steps(lines: list[str]) -> Iterator[Step]:
    command, output = None, list[str]()
    for line in lines:
        if command is not None and command.endswith("\\") and not output:
            command = command[:-1] + line.strip()
        elif line.startswith(("$ ", "# ")):
            if command is not None:
                yield _step(command, output)
            command, output = line[2:], []
        elif command is not None:
            output.append(line)
    if command is not None:
        yield _step(command, output)


def _step(command: str, output: list[str]) -> Step:
    status = _STATUS.search(command)
    return Step(_STATUS.sub("", command), int(status[1]) if status else 0, tuple(output))


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Whether ``printed`` is what the page shows, with ``...`` for anything."""
    pattern = "\n".join(
        "(?:.*\n?)*?" if line.strip() == "..." else r".*?".join(re.escape(part.rstrip()) for part in line.split("..."))
        for line in expected
    )
    pattern = pattern.replace("(?:.*\n?)*?\n", "(?:.*\n)*?")
    text = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern.strip("\n"), text) is not None
