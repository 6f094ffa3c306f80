"""Certificates of a server that runs for years: checked every day, renewed before they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from nodisk.pki.authority import Authority

EVERY = 24 * 3600.0
SHORT = timedelta(days=180)
"""Remaining life of an authority below which there is a daily warning: only a rotation renews it."""


async def keep(
    authority: Authority, say: Callable[[str], None], reload: Callable[[], None], *, every: float = EVERY
) -> None:
    """Until cancelled: renew what expires soon, and make the daemons read it (``reload``)."""
    while True:
        await asyncio.sleep(every)
        if await asyncio.to_thread(authority.ensure):
            say("the server's certificates were close to expiry and were renewed; its daemons now use them")
            reload()
        for item in authority.items():
            if item.kind == "authority" and item.expires is not None and item.expires - datetime.now(UTC) < SHORT:
                say(f"authority {item.name} and all it signed expire on {item.expires:%Y-%m-%d}: run nodisk pki rotate")
