"""Each node's table of NetworkPolicies, from the one who compiles them to the requests that nodes hold."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A table for ``nft -f``."""

    text: str
    version: str
    """SHA-256 of the text: a server that starts again gives the same one, and the node has nothing to do."""

    @classmethod
    def of(cls, text: str) -> Ruleset:
        """By its text."""
        return cls(text, hashlib.sha256(text.encode()).hexdigest())


@dataclass(slots=True)
class Rulesets:
    """What each node should have. All of it belongs to the event loop's thread."""

    applied: Callable[[str, str], None] | None = None
    """Gets a node's name and boot id when the node says that it has the newest table."""
    _there: dict[str, Ruleset] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Event] = field(default_factory=dict)
    _closed: bool = False

    def publish(self, texts: Mapping[str, str]) -> None:
        """Replace all tables, and answer the nodes whose own has changed."""
        before, self._there = self._there, {node: Ruleset.of(text) for node, text in texts.items()}
        for node, found in self._there.items():
            if before.get(node) != found and node in self._waiting:
                self._waiting[node].set()

    def close(self) -> None:
        """Let all held requests go."""
        self._closed = True
        for one in self._waiting.values():
            one.set()

    def known(self, node: str) -> bool:
        """Whether a node can be told its table: not before it is compiled, and not while the server stops."""
        return node in self._there and not self._closed

    async def newer(self, node: str, have: str, boot: str, seconds: float) -> Ruleset | None:
        """A node's table once it is another than ``have``; None: still the same after so many seconds.

        A node holds one request: a second one ends the first, so that nobody can hold thousands.
        """
        if (older := self._waiting.pop(node, None)) is not None:
            older.set()
        if (there := self._there.get(node)) is not None and there.version != have:
            return there
        if there is not None and self.applied is not None:
            self.applied(node, boot)
        mine = self._waiting[node] = asyncio.Event()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await mine.wait()
        finally:
            if self._waiting.get(node) is mine:
                del self._waiting[node]
        there = self._there.get(node)
        return there if there is not None and there.version != have else None
