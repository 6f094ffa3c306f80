"""How often somebody may be wrong at the students' door.

Only wrong tries count, so that a whole class gets in through one address. A secret is looked at only while tries are
left, and one at a time: a hundred guesses that are sent at once are no more than a hundred one after another, and
however many come, one core is the most that the hashes take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from nodisk.server.handlers.common import Problem
from nodisk.server.limits import RateLimit

T = TypeVar("T")
TOO_MANY = "too many wrong tries: wait a minute"


@dataclass(slots=True)
class Tries:
    """Wrong tries at the door."""

    addresses: RateLimit = field(default_factory=lambda: RateLimit(burst=5, per_second=5 / 60))
    """Of one address: five a minute."""
    classes: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=20 / 60))
    """At one class, from whatever addresses: twenty a minute. All classes that there aren't count as one."""
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def judge(self, address: str, class_name: str, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What ``look`` finds; None counts as a wrong try. Raises Problem 429 where none is left, and looks at nothing.

        Who goes away before it is known how it came out was wrong.
        """
        async with self._one:
            if not (self.addresses.would_allow(address) and self.classes.would_allow(class_name)):
                raise Problem(429, TOO_MANY)
            found = None
            try:
                found = await look()
            finally:
                if found is None:
                    self.addresses.allows(address)
                    self.classes.allows(class_name)
            return found

    def over(self, address: str, class_name: str) -> bool:
        """Whether no try is left."""
        return not (self.addresses.would_allow(address) and self.classes.would_allow(class_name))
