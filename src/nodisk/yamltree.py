"""YAML text → a tree of nodes that know their line and column, by PyYAML's event parser (libyaml's where there).

A scalar keeps its source text: ``1.10`` stays a version, ``52:54:00:12:34:56`` a MAC, ``yes`` a word. What it means
is decided by the model that reads it. Size, depth and the number of nodes (aliases written out) are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events as ev

from nodisk.butane.events import Composer

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 40
MAX_SHOWN = 300
"""Characters of a message."""

_CORE = "tag:yaml.org,2002:"
_HARMLESS = frozenset({None, "!", _CORE + "str", _CORE + "map", _CORE + "seq"})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML has it


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place of the text; lines and columns count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""
    path: str = ""

    def at(self, file: object) -> str:
        """The line that a user sees: ``file:line:col: path: what is wrong; what to do``."""
        where = f"{file}:{self.line}:{self.column}: " + (f"{_plain(self.path)}: " if self.path else "")
        return where + _plain(self.message) + (f"; {_plain(self.hint)}" if self.hint else "")


def _plain(text: str) -> str:
    """A part of a message as one line of printable text: keys and values of a file may have any content and length."""
    shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


class YamlError(Exception):
    """The text can't be read as YAML at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


Path = tuple[str | int, ...]


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a mapping or a list, as written."""

    line: int
    column: int
    scalar: str | None = None
    """A scalar's source text; None: not a scalar."""
    null: bool = False
    """An empty scalar: empty, ``~`` or ``null``, unquoted."""
    literal: bool = False
    """A scalar written as a ``|`` block: its first line is the one after ``line``."""
    start: int = 0
    """Characters of the text before it; its anchor or tag, if it has one, is the first of it."""
    end: int = 0
    """Characters of the text up to its end; of a block (not ``{}`` or ``[]``) to the end of the last value in it."""
    flow: bool = False
    """A mapping or a list written in brackets."""
    items: list[Node] | None = None
    """A list's items; None: not a list."""
    entries: list[tuple[Node, Node]] | None = None
    """A mapping's keys and values in the file's order; None: not a mapping."""
    size: int = 1
    """How many nodes it is, aliases written out; 0 until the last of them is known."""
    fields: dict[str, tuple[Node, Node]] = field(default_factory=dict)
    """A mapping's keys and values by key; of a duplicate the first."""

    def key(self, name: str) -> Node | None:
        """The node of a mapping's key itself."""
        return self.fields[name][0] if name in self.fields else None

    def find(self, path: Path) -> tuple[Node, int]:
        """The deepest node on ``path`` that exists, and how many steps led to it."""
        node = self
        for depth, step in enumerate(path):
            if isinstance(step, str) and step in node.fields:
                node = node.fields[step][1]
            elif isinstance(step, int) and node.items is not None and step < len(node.items):
                node = node.items[step]
            else:
                return node, depth
        return node, len(path)


def path_text(path: Path) -> str:
    """``("machines", 2, "mac")`` → ``machines[2].mac``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def decode(data: bytes) -> str:
    """UTF-8 bytes as text; raises YamlError that points at the first byte that is not UTF-8."""
    if len(data) > MAX_BYTES:
        raise YamlError(Problem(1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB", "is this the right file?"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        column = len(before[-1].decode("utf-8", "replace")) + 1
        problem = Problem(len(before), column, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file in UTF-8")
        raise YamlError(problem) from error


def parse(text: str) -> tuple[Node, list[Problem]]:
    """The single document of ``text`` and the problems that don't keep it from being read (duplicate keys, tags).

    Raises YamlError if there is no usable tree: no YAML, too large, too deep, too many nodes.
    """
    if len(text) > MAX_BYTES:
        raise YamlError(Problem(1, 1, f"the text is larger than {MAX_BYTES // 1024} KiB", "is this the right file?"))
    try:
        return _Composer(text).build()
    except yaml.reader.ReaderError as error:
        before = text[: max(error.position, 0)].split("\n")
        what = f"the character {error.character!r} has no place in YAML"
        raise YamlError(Problem(len(before), len(before[-1]) + 1, what, "remove it")) from error
    except yaml.YAMLError as error:
        raise YamlError(_syntax(error, text)) from error


class _Composer(Composer[Node]):
    def __init__(self, text: str) -> None:
        super().__init__(_LOADER(text).get_event)
        self.problems: list[Problem] = []
        self._count = 0
        self._end = 0
        """Where the last value ended. The end of a block is found too late, after comments and empty lines."""

    def build(self) -> tuple[Node, list[Problem]]:
        self.get_event()
        if isinstance(self.get_event(), ev.StreamEndEvent):
            return Node(1, 1, scalar="", null=True), []
        root = self.compose()
        self.get_event()
        after = self.get_event()
        if not isinstance(after, ev.StreamEndEvent):
            line = after.start_mark.line + 1
            self.problems.append(Problem(line, 1, "a second document starts here", "remove it and the line ---"))
        return root, self.problems

    def scalar(self, event: Any, parent: Node | None) -> Node:
        line, column = self._begin(event)
        null = not event.style and event.value in _NULLS and event.tag is None
        literal, self._end = event.style == "|", event.end_mark.index
        start = event.start_mark.index
        return Node(line, column, scalar=event.value, null=null, literal=literal, start=start, end=self._end)

    def collection(self, event: Any, depth: int) -> Node:
        line, column = self._begin(event)
        if depth > MAX_DEPTH:
            raise YamlError(Problem(line, column, f"nested deeper than {MAX_DEPTH} levels"))
        start = event.start_mark.index
        if isinstance(event, ev.MappingStartEvent):
            return Node(line, column, entries=[], size=0, start=start, flow=bool(event.flow_style))
        return Node(line, column, items=[], size=0, start=start, flow=bool(event.flow_style))

    def alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if node is None or not node.size:
            raise YamlError(Problem(line, column, f"*{event.anchor} stands for nothing above"))
        self._add(node.size, line, column)
        self._end = event.end_mark.index
        return node

    def _begin(self, event: Any) -> tuple[int, int]:
        """Count a node, and judge its tag; where it is."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        self._add(1, line, column)
        if event.tag not in _HARMLESS:
            self._tag(event.tag, line, column)
        return line, column

    def _add(self, nodes: int, line: int, column: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            what = f"more than {MAX_NODES} values, aliases written out"
            raise YamlError(Problem(line, column, what, "is this the right file?"))

    def _tag(self, tag: str, line: int, column: int) -> None:
        short = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        self.problems.append(Problem(line, column, f"the tag {short} means nothing here", "remove it"))

    def close(self, node: Node, children: list[Node], event: Any) -> None:
        if node.flow:
            self._end = event.end_mark.index
        node.end = self._end
        node.size = 1 + sum(child.size for child in children)
        if node.entries is None:
            node.items = children
            return
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.scalar is None:
                self.problems.append(Problem(key.line, key.column, "a key must be a plain word"))
                continue
            node.entries.append((key, value))
            if key.scalar in node.fields:
                first = node.fields[key.scalar][0].line
                what = f"the key {key.scalar!r} is here twice, first on line {first}"
                self.problems.append(Problem(key.line, key.column, what, "keep one of them"))
            else:
                node.fields[key.scalar] = (key, value)


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    """libyaml's message, with the most common mistakes explained."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = str(getattr(error, "problem", None) or error)
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    tab = written.find("\t")
    if tab >= 0 and not written[:tab].strip(" -"):
        return Problem(line, tab + 1, "a tab indents this line", "YAML wants spaces")
    hints = {
        "mapping values are not allowed": "quote a value that holds ': ', or check indentation",
        "did not find expected key": "is the indentation right, and every quote closed?",
        "could not find expected ':'": "write it as `key: value`",
    }
    hint = next((text for start, text in hints.items() if what.startswith(start)), "check quotes and indentation")
    return Problem(line, column, f"not YAML: {what}", hint)
