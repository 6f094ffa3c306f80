"""YAML's events → a tree of the reader's own nodes: the one loop over PyYAML's event parser.

PyYAML's own constructors never run: a scalar keeps its source text until a schema says what it should be, and nothing
in a document can name a Python type. A loop, not recursion, takes the events one by one, so that depth and number of
nodes are bounded before anything is built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from yaml import events as ev

N = TypeVar("N")


class Composer(ABC, Generic[N]):
    """Composes one document; a subclass says what a node is, and raises its own errors."""

    def __init__(self, get_event: Callable[[], Any]) -> None:
        self.get_event = get_event
        self.anchors: dict[str, N] = {}
        """The last node of each name, from its start on."""

    @abstractmethod
    def scalar(self, event: Any, parent: N | None) -> N:
        """A scalar's node; ``parent``: the collection that it stands in."""

    @abstractmethod
    def collection(self, event: Any, depth: int) -> N:
        """The node of a mapping or sequence that starts here; ``depth`` counts from 1."""

    @abstractmethod
    def alias(self, event: Any) -> N:
        """What stands for an alias."""

    @abstractmethod
    def close(self, node: N, children: list[N], event: Any) -> None:
        """A collection is whole with this event: its items, or its keys and values in turn."""

    def compose(self) -> N:
        """The document whose start was the last event; its end is the next one."""
        stack: list[tuple[N, list[N]]] = []
        while True:
            event = self.get_event()
            kind = type(event)
            if kind is ev.MappingEndEvent or kind is ev.SequenceEndEvent:
                node, children = stack.pop()
                self.close(node, children, event)
                if not stack:
                    return node
                continue
            if kind is ev.AliasEvent:
                node = self.alias(event)
            elif kind is ev.ScalarEvent:
                node = self.scalar(event, stack[-1][0] if stack else None)
            else:
                node = self.collection(event, len(stack) + 1)
            if kind is not ev.AliasEvent and event.anchor is not None:
                self.anchors[event.anchor] = node
            if stack:
                stack[-1][1].append(node)
            if kind is ev.MappingStartEvent or kind is ev.SequenceStartEvent:
                stack.append((node, []))
            elif not stack:
                return node
