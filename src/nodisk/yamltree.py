"""YAML text → a tree of nodes that know their line and column, by PyYAML's event parser (libyaml's where there).

A scalar keeps its source text: ``1.10`` stays a version, ``52:54:00:12:34:56`` a MAC, ``yes`` a word. What it means
is decided by the model that reads it. No constructor of PyYAML runs, so a document can name no Python type.
Size, depth and the number of nodes (aliases written out) are bounded before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events as ev

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
    items: list[Node] | None = None
    """A list's items; None: not a list."""
    entries: list[tuple[Node, Node]] | None = None
    """A mapping's keys and values in the file's order; None: not a mapping."""
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
        return _Builder(text).build()
    except yaml.reader.ReaderError as error:
        before = text[: max(error.position, 0)].split("\n")
        what = f"the character {error.character!r} has no place in YAML"
        raise YamlError(Problem(len(before), len(before[-1]) + 1, what, "remove it")) from error
    except yaml.YAMLError as error:
        raise YamlError(_syntax(error, text)) from error


class _Builder:
    """Turns events into nodes with a stack instead of recursion."""

    def __init__(self, text: str) -> None:
        self.parser = _LOADER(text)
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.count = 0

    def build(self) -> tuple[Node, list[Problem]]:
        get = self.parser.get_event
        get()
        if isinstance(get(), ev.StreamEndEvent):
            return Node(1, 1, scalar="", null=True), []
        root = self._document()
        get()
        after = get()
        if not isinstance(after, ev.StreamEndEvent):
            line = after.start_mark.line + 1
            self.problems.append(Problem(line, 1, "a second document starts here", "remove it and the line ---"))
        return root, self.problems

    def _document(self) -> Node:
        stack: list[tuple[Node, list[Node], str | None, int]] = []
        while True:
            event = self.parser.get_event()
            if isinstance(event, (ev.MappingEndEvent, ev.SequenceEndEvent)):
                node, children, anchor, before = stack.pop()
                self._close(node, children)
                if anchor:
                    self.anchors[anchor] = (node, self.count - before)
            else:
                node = self._open(event)
                if isinstance(event, (ev.MappingStartEvent, ev.SequenceStartEvent)):
                    stack.append((node, [], event.anchor, self.count - 1))
                    if len(stack) > MAX_DEPTH:
                        raise YamlError(Problem(node.line, node.column, f"nested deeper than {MAX_DEPTH} levels"))
                    continue
                if isinstance(event, ev.ScalarEvent) and event.anchor:
                    self.anchors[event.anchor] = (node, 1)
            if not stack:
                return node
            stack[-1][1].append(node)

    def _open(self, event: Any) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, ev.AliasEvent):
            if event.anchor not in self.anchors:
                raise YamlError(Problem(line, column, f"*{event.anchor} stands for nothing above"))
            node, size = self.anchors[event.anchor]
            self._add(size, line, column)
            return node
        self._add(1, line, column)
        if event.tag not in _HARMLESS:
            self._tag(event.tag, line, column)
        if isinstance(event, ev.ScalarEvent):
            null = not event.style and event.value in _NULLS and event.tag is None
            return Node(line, column, scalar=event.value, null=null, literal=event.style == "|")
        if isinstance(event, ev.MappingStartEvent):
            return Node(line, column, entries=[])
        return Node(line, column, items=[])

    def _add(self, nodes: int, line: int, column: int) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            what = f"more than {MAX_NODES} values, aliases written out"
            raise YamlError(Problem(line, column, what, "is this the right file?"))

    def _tag(self, tag: str, line: int, column: int) -> None:
        short = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        self.problems.append(Problem(line, column, f"the tag {short} means nothing here", "remove it"))

    def _close(self, node: Node, children: list[Node]) -> None:
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
