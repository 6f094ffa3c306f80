"""YAML text → a tree of nodes with positions, by PyYAML's event parser (libyaml's where it is compiled in).

PyYAML's own constructors are not used: a scalar keeps its source text until the schema says what it should be, and
nothing in a document can name a Python type. Events are consumed one by one by a loop, not by recursion, so that
depth and number of nodes are bounded before they are built.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml import events as ev

from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Key, Path

SCALAR, MAPPING, SEQUENCE, ALIAS = "scalar", "map", "seq", "alias"

MAX_BYTES = 16 * 1024 * 1024
"""Ignition configs are fetched into RAM by an initramfs: nothing sensible is larger."""
MAX_NODES = 50_000
"""A fraction of a second of parsing; a machine's config has some hundreds."""
MAX_DEPTH = 1000
"""Python's own recursion limit is not far above; no config nests deeper than ten."""

try:
    from yaml._yaml import CParser as Parser
except ImportError:  # a PyYAML without libyaml: slower, and some messages are worded otherwise
    from yaml import SafeLoader as Parser  # type: ignore[assignment]  # both have get_event, all that is used


class YamlError(Exception):
    """The text is not YAML; ``line`` (from 1) where the parser says it."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(f"yaml: line {line}: {message}" if line else f"yaml: {message}")
        self.message = message
        self.line = line


class Node:
    """A scalar, mapping, sequence or alias, as written."""

    __slots__ = ("children", "column", "flow", "kind", "line", "plain", "tag", "target", "value")

    def __init__(self, kind: str, value: str, tag: str | None, plain: bool, mark: Any) -> None:
        self.kind = kind
        self.value = value
        """A scalar's text, an alias's anchor name; "" for the others."""
        self.tag = tag
        """The tag as written, in full (``tag:yaml.org,2002:str``); None: none."""
        self.plain = plain
        """A scalar without quotes and not a block."""
        self.line: int = mark.line + 1
        self.column: int = mark.column + 1
        self.children: list[Node] = []
        """A mapping's keys and values in turn; a sequence's items."""
        self.target: Node | None = None
        """What an alias stands for."""
        self.flow = False
        """A collection in brackets or braces: there yaml.v3 ends a word at ``?``, which libyaml does not."""

    def child(self, name: str) -> Node | None:
        """A mapping's value by its key as written; aliases and merge keys are not followed."""
        found = None
        if self.kind == MAPPING:
            for index in range(0, len(self.children), 2):
                if self.children[index].value == name:
                    found = self.children[index + 1]
        return found

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of the deepest node on ``path`` that exists."""
        node = self
        for part in path:
            if isinstance(part, int):
                if node.kind != SEQUENCE or part >= len(node.children):
                    break
                node = node.children[part]
                continue
            if isinstance(part, Key):
                keys = [key for key in node.children[::2] if key.value == part] if node.kind == MAPPING else []
                if keys:
                    node = keys[-1]
                break
            child = node.child(part)
            if child is None:
                break
            node = child
        return node.line, node.column


def parse(data: bytes, *, old: bool = False) -> Node | None:
    """The first document of ``data``; None if it is empty. Raises YamlError. ``old``: as yaml.v2 reads it."""
    if len(data) > MAX_BYTES:
        raise YamlError(f"document is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        try:
            return _compose(data, old=old)
        except yaml.scanner.ScannerError as error:
            if old or error.problem != "found unexpected ':'":
                raise
            data, colon = _hide_colons(data)
            return _compose(data, colon)
    except yaml.YAMLError as error:
        raise (_translated_old(error) if old else _translated(_ahead(data, error))) from error
    except RecursionError as error:  # only PyYAML's pure Python parser recurses
        raise YamlError(f"exceeded max depth of {MAX_DEPTH}") from error


_LAST_COLON = rb"(?<![^\s\"'\[\]{},?])([^\s\"'\[\]{},?&*!][^\s\"'\[\]{},?]*):(?=[\[\]{},?])"


def _hide_colons(data: bytes) -> tuple[bytes, str]:
    """``data`` with another character for each colon that ends a word before a bracket or comma, and that character.

    libyaml refuses ``[fe80::, a]``; to yaml.v3 only a space makes such a colon more than a part of the word.
    """
    # If the document has every character for private use, it is refused for the one that it can't have.
    colon = next((char for char in map(chr, range(0xE000, 0xF900)) if char.encode() not in data), "\0")
    return re.sub(_LAST_COLON, lambda match: match[1] + colon.encode(), data), colon


def _compose(data: bytes, colon: str = "", *, old: bool = False) -> Node | None:  # noqa: PLR0912, PLR0915 - a branch a kind of event
    get_event: Any = Parser(data).get_event
    get_event()  # the start of the stream
    start = get_event()
    if isinstance(start, ev.StreamEndEvent):
        return None
    if getattr(start, "version", None) not in (None, (1, 1)):
        raise YamlError("found incompatible YAML document", start.start_mark.line or None)
    anchors: dict[str, Node] = {}
    aliases: list[Node] = []
    stack: list[Node] = []
    root: Node | None = None
    count = 0
    slashes = b"\\/" in data
    while True:
        event = get_event()
        kind = type(event)
        if kind is ev.MappingEndEvent or kind is ev.SequenceEndEvent:
            stack.pop()
            if not stack:
                break
            continue
        count += 1
        if count > MAX_NODES:
            raise YamlError(f"document has more than {MAX_NODES} nodes")
        mark = event.start_mark
        if kind is ev.ScalarEvent:
            value = event.value.replace(colon, ":") if colon else event.value
            node = Node(SCALAR, value, event.tag, not event.style, mark)
            if slashes and event.style == '"':
                _refuse_escaped_slash(data, event, old=old)
            if old and not event.style and stack and stack[-1].flow and _INNER_COLON.search(value):
                raise YamlError("found unexpected ':'", mark.line or None)
            if not event.style and stack and stack[-1].flow and "?" in event.value[1:]:
                closing = "}" if stack[-1].kind == MAPPING else "]"
                raise YamlError(f"did not find expected ',' or '{closing}'", stack[-1].line - 1 or mark.line or None)
        elif kind is ev.AliasEvent:
            node = Node(ALIAS, event.anchor, None, False, mark)
            node.target = anchors.get(event.anchor)
            aliases.append(node)
            if node.target is None and not old:
                raise YamlError(f"unknown anchor '{event.anchor}' referenced")
        else:
            name = MAPPING if kind is ev.MappingStartEvent else SEQUENCE
            node = Node(name, "", event.tag, False, mark)
            node.flow = bool(event.flow_style)
        if kind is not ev.AliasEvent and event.anchor is not None:
            anchors[event.anchor] = node
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
        if node.kind in (MAPPING, SEQUENCE):
            stack.append(node)
            if len(stack) > MAX_DEPTH:
                raise YamlError(f"exceeded max depth of {MAX_DEPTH}", mark.line + 1)
        elif not stack:
            break
    # A document that does not end properly is an error even though its content was fine.
    get_event()
    if old:  # yaml.v2 looks an anchor up when it decodes: the last of a name counts, and what nobody reads may lack one
        for node in aliases:
            node.target = anchors.get(node.value)
    return root


_INNER_COLON = Pattern(r":(?=\S)")
"""yaml.v2 takes no word in brackets that has one."""
_ESCAPES = Pattern(r"\\(.)", re.DOTALL)


def _refuse_escaped_slash(data: bytes, event: Any, *, old: bool) -> None:
    r"""JSON's ``\/`` is no escape in yaml.v3, though libyaml takes it. Raises YamlError."""
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", data.decode("utf-8-sig", "replace"))
    first, last = event.start_mark, event.end_mark
    part = lines[first.line : last.line + 1]
    part[-1] = part[-1][: last.column]
    part[0] = part[0][first.column :]
    if "/" in _ESCAPES.findall("\n".join(part)):
        line = first.line or last.line
        raise YamlError("found unknown escape character", line or None if old else line + 1)


_AHEAD = 3
"""How many tokens yaml.v3 has read, at least, when it parses the first of them."""


def _ahead(data: bytes, error: yaml.YAMLError) -> yaml.YAMLError:
    """The error that yaml.v3 meets first: one of the scanner's up to two tokens behind a parser's error."""
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.parser.ParserError) or mark is None:
        return error
    get_token: Any = Parser(data).get_token
    left = None
    try:
        while left != 0 and (token := get_token()) is not None:
            start = token.start_mark
            if left is not None:
                left -= 1
            elif (start.line, start.column) == (mark.line, mark.column):
                left = _AHEAD - 1
    except yaml.scanner.ScannerError as earlier:
        return earlier
    except yaml.YAMLError:
        pass
    return error


def _translated(error: yaml.YAMLError) -> YamlError:
    """PyYAML's exception in the words and with the line number that Go's yaml.v3 gives it.

    yaml.v3 takes the context's line if it is not the first, else the problem's; counts from 1 for errors of
    the scanner, from 0 for those of the parser, and names no line if that is 0.
    """
    if isinstance(error, yaml.reader.ReaderError):
        return YamlError(str(error.reason))
    problem = str(getattr(error, "problem", None) or "unknown problem parsing YAML content")
    line = 0
    for mark in (getattr(error, "context_mark", None), getattr(error, "problem_mark", None)):
        if mark is not None and mark.line:
            line = mark.line + (1 if isinstance(error, yaml.scanner.ScannerError) else 0)
            break
    return YamlError(problem, line or None)


def _translated_old(error: yaml.YAMLError) -> YamlError:
    """As ``_translated``, for yaml.v2: the problem's line, counted from 0, else the context's; none if both are 0."""
    if isinstance(error, yaml.reader.ReaderError):
        return YamlError(str(error.reason))
    marks = (getattr(error, "problem_mark", None), getattr(error, "context_mark", None))
    line = next((mark.line for mark in marks if mark is not None and mark.line), None)
    return YamlError(str(getattr(error, "problem", None) or "unknown problem parsing YAML content"), line)
