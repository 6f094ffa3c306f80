"""Judging a tree of values with the document beside it, as Container Linux Config's tools do.

A mapping has rules of its own and rules of its fields. What a rule says is placed at the node of its field, else at
that of its mapping, else at that of the nearest one above that has any. An error of a mapping's own rule ends the
matter for what is inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from nodisk.butane.report import Entry, Severity
from nodisk.butane.yamltree import MAPPING, SEQUENCE, Node

Said = Iterable[tuple[Severity, str]]
Rule = Callable[[Any], Said]


class Part(NamedTuple):
    """A field of a mapping: its key in the document, its key in the values, and what it holds."""

    key: str
    name: str
    shape: Shape | None = None
    """None: nothing inside to judge."""
    pointer: bool = False
    """A mapping that is not looked at if it is absent."""


class Shape:
    """A mapping (``parts``), or a list or scalar with a rule."""

    __slots__ = ("field_rules", "item", "parts", "rule")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.item: Shape | None = None
        """What a list holds."""
        self.rule: Rule | None = None
        self.field_rules: dict[str, Rule] = {}


class Message(NamedTuple):
    """A finding; line 0: not placed yet."""

    severity: Severity
    message: str
    line: int
    column: int


Names = Callable[[str], str]
"""From a key of the document to a part's key."""


def judge(shape: Shape, value: Any, node: Node | None, names: Names, *, unused: bool) -> list[Entry]:
    """All messages about ``value``; ``unused``: keys that no part has are warned of."""
    return [
        Entry(found.severity, found.message, None, found.line or None, (found.column or None) if found.line else None)
        for found in _judge(shape, value, node, names, unused)
    ]


def _at(said: Said, line: int, column: int) -> list[Message]:
    return [Message(severity, message, line, column) for severity, message in said]


def _placed(found: list[Message], line: int, column: int) -> list[Message]:
    return [one if one.line else one._replace(line=line, column=column) for one in found]


def _judge(shape: Shape, value: Any, node: Node | None, names: Names, unused: bool) -> list[Message]:
    line, column = (node.line, node.column) if node is not None else (0, 0)
    found: list[Message] = []
    if shape.rule is not None:
        found = _at(shape.rule({} if value is None else value), line, column)
        if any(one.severity == "error" for one in found):
            return found
    if shape.item is not None:
        for index, item in enumerate(value or ()):
            below = node
            if node is not None and node.kind == SEQUENCE and index < len(node.children):
                below = node.children[index]
            found += _placed(_judge(shape.item, item, below, names, unused), line, column)
    elif shape.parts or shape.field_rules:
        found += _placed(_parts(shape, value or {}, node, names, unused), line, column)
    return found


def _parts(shape: Shape, value: Mapping[str, Any], node: Node | None, names: Names, unused: bool) -> list[Message]:
    keys: dict[str, tuple[Node, Node]] = {}
    if node is not None and node.kind == MAPPING:
        for index in range(0, len(node.children), 2):
            key = node.children[index]
            keys[names(key.value)] = (key, node.children[index + 1])
    found: list[Message] = []
    for part in shape.parts:
        below = keys[part.key][1] if part.key in keys else None
        line, column = (node.line, node.column) if node is not None else (0, 0)
        rule = shape.field_rules.get(part.name)
        if rule is not None:
            if below is not None:
                line, column = below.line, below.column
            found += _at(rule(value), line, column)
        inner = value.get(part.name)
        if part.shape is not None and not (part.pointer and inner is None):
            found += _placed(_judge(part.shape, inner, below, names, unused), line, column)
    if unused and node is not None and node.kind == MAPPING:
        known = {part.key for part in shape.parts}
        for name, (key, _) in keys.items():
            if name not in known:
                found.append(Message("warning", f"Config has unrecognized key: {name}", key.line, key.column))
                similar = next((tag for tag in sorted(known) if tag.casefold() == name.casefold()), None)
                if similar is not None:
                    found.append(Message("info", f"Did you mean {similar} instead of {name}", key.line, key.column))
    return found
