"""Certificates of a server that stays up for years: looked at every day, made anew before they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from nodisk.pki.authority import Authority

EVERY = 24 * 3600.0
SHORT = timedelta(days=180)
"""What an authority has left when it is said every day: only a rotation makes it anew, and that wants a quiet day."""


async def keep(
    authority: Authority, say: Callable[[str], None], reload: Callable[[], None], *, every: float = EVERY
) -> None:
    """Until cancelled: renew what nears its end, and have the daemons read it (``reload``)."""
    while True:
        await asyncio.sleep(every)
        if await asyncio.to_thread(authority.ensure):
            say("the server's certificates were close to expiry and were renewed; its daemons now use them")
            reload()
        for item in authority.items():
            if item.kind == "authority" and item.expires is not None and item.expires - datetime.now(UTC) < SHORT:
                say(f"authority {item.name} and all it signed expire on {item.expires:%Y-%m-%d}: run nodisk pki rotate")
