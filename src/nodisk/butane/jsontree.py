"""JSON text → a tree of nodes with positions. Not by the YAML parser: not all JSON is YAML to it."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from nodisk.butane.yamltree import MAPPING, MAX_NODES, SCALAR, SEQUENCE, Node

_TOKEN = rb'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\],:"]+'


class _Mark(NamedTuple):
    line: int
    column: int


def parse(data: bytes) -> Node | None:
    """The tree of ``data``, which is JSON (see jsonsyntax); None if it has too many nodes to be worth it."""
    root: Node | None = None
    stack: list[Node] = []
    line = begin = seen = count = 0
    for match in re.finditer(_TOKEN, data, re.DOTALL):
        token, at = match[0], match.start()
        if token in b"}]":
            stack.pop()
            continue
        count += 1
        if count > MAX_NODES:
            return None
        newlines = data.count(b"\n", seen, at)
        if newlines:
            line, begin = line + newlines, data.rfind(b"\n", seen, at) + 1
        seen = at
        if token in b"{[":
            # Go's reader has a collection begin behind its bracket.
            kind, value, column = MAPPING if token == b"{" else SEQUENCE, "", at - begin + 1
        else:
            kind, value, column = SCALAR, _text(token), at - begin
        node = Node(kind, value, None, not token.startswith(b'"'), _Mark(line, column))
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
        if kind != SCALAR:
            stack.append(node)
    return root


def _text(token: bytes) -> str:
    text = token.decode("utf-8", "replace")
    return str(json.loads(text)) if token.startswith(b'"') else text
