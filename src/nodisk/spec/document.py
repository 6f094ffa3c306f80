"""A user's YAML file: its text, its values, and its problems with their lines."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodisk import yamltree
from nodisk.errors import NodiskError, SpecError
from nodisk.spec.finding import Finding
from nodisk.yamltree import Node, Problem, YamlError

_SHOWN = 100
"""The number of problems that are listed; with more than that, it is probably the wrong file."""


def read(path: Path, *, usage: str, absent: str) -> str:
    """Read a file's text. Raises SpecError if it isn't text, NodiskError if it can't be read.

    ``usage`` is the hint that says how to name the file, ``absent`` the one that says where to get one.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NodiskError(f"{path} is not a file", hint=usage)
        with path.open("rb") as file:
            data = file.read(yamltree.MAX_BYTES + 1)
    except OSError as error:
        raise NodiskError(
            f"{path}: {error.strerror}", hint=absent if isinstance(error, FileNotFoundError) else None
        ) from error
    try:
        return yamltree.decode(data)
    except YamlError as error:
        raise refused([error.problem], path) from error


def data_of(node: Node) -> Any:
    """The tree as plain data for a model: scalars as their text, an empty value as None."""
    if node.entries is not None:
        return {key: data_of(value) for key, (_, value) in node.fields.items()}
    if node.items is not None:
        return [data_of(item) for item in node.items]
    return None if node.null else node.scalar


def place(root: Node, message: Finding) -> Problem:
    """A finding with its line; ``{other}`` in its text becomes the line of what it conflicts with."""
    node, depth = root.find(message.path)
    if message.key or depth < len(message.path):
        parent, _ = root.find(message.path[:-1])
        node = parent.key(str(message.path[-1])) or node
    text = message.message
    if message.other is not None:
        text = text.replace("{other}", f"line {root.find(message.other)[0].line}")
    line = node.line + message.line if node.literal else node.line
    return Problem(line, 1 if line != node.line else node.column, text, message.hint, yamltree.path_text(message.path))


def refused(problems: Sequence[Problem], file: str | Path, *, hint: str | None = None) -> SpecError:
    """The error that lists the problems of a file."""
    lines = "\n".join(problem.at(file) for problem in problems[:_SHOWN])
    if len(problems) > _SHOWN:
        lines += f"\n… and {len(problems) - _SHOWN} more"
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return SpecError(f"{file} has {count}:\n{lines}", hint=hint)
