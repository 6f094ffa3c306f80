"""What a class's page says now, collected and written down once for all who watch the same class."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nodisk.classes.own import Used
from nodisk.classes.record import Class
from nodisk.classes.trouble import Trouble
from nodisk.console.pieces import Piece
from nodisk.records.messages import Message

FRESH = 0.2
"""Seconds for which a look is good enough for others; with ``own.FRESH`` and the second between a page's looks, less
than two."""
KEPT = 60.0
"""Seconds after which a class that nobody looked at is forgotten."""


@dataclass(frozen=True, slots=True)
class Now:
    """What the parts of a class's page say that change by themselves."""

    found: Class
    due: str
    """What is next for the class, in words."""
    troubles: tuple[Trouble, ...]
    unknown: str
    """Why nobody knows what fails and how much is used; '' if somebody does."""
    quotas: Mapping[str, tuple[Used, ...]]
    """What students use of their quota, by key, without what is not used at all."""
    seen: Mapping[str, float]
    """When students last signed in, by key."""
    doors: Mapping[str, str]
    """Where each student is on the way through the door, by key; nothing for a class without one."""
    at_terminals: frozenset[str]
    """Keys of the students whose terminal is open."""
    message: Message | None


@dataclass(slots=True)
class Look:
    """What a page says, and the same as HTML: the same object for as long as nothing has changed."""

    now: Now
    _written: dict[str, tuple[Piece, ...]] = field(default_factory=dict)

    def written(self, language: str, write: Callable[[Now, str], tuple[Piece, ...]]) -> tuple[Piece, ...]:
        """Its pieces in a language, written for the first who asks."""
        if language not in self._written:
            self._written[language] = write(self.now, language)
        return self._written[language]


@dataclass(slots=True)
class _Kept:
    look: Look | None = None
    at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Looks:
    """The newest look of each class that somebody watches."""

    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict)

    async def get(self, name: str, collect: Callable[[], Awaitable[Now | None]], *, anew: bool = False) -> Look | None:
        """The look of a class, at most FRESH seconds old, or ``anew``; None: there is no such class any more.

        ``collect`` is awaited by one at a time; what it raises, that one gets, and the next tries again.
        """
        self._forget()
        kept = self._kept.setdefault(name, _Kept())
        async with kept.lock:
            if anew or self.clock() - kept.at >= FRESH:
                now = await collect()
                if now is None:
                    kept.look = None
                elif kept.look is None or kept.look.now != now:
                    kept.look = Look(now)
                kept.at = self.clock()
            return kept.look

    def _forget(self) -> None:
        old = self.clock() - KEPT
        for name in [name for name, kept in self._kept.items() if kept.at < old and not kept.lock.locked()]:
            del self._kept[name]
