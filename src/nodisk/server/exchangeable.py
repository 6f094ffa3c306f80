"""An application that another takes the place of while it serves: each request ends in the one in which it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

Close = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Served:
    """One application."""

    application: ASGIApp
    close: Close
    """Called once it has answered its last request."""
    requests: int = 0
    """Those that it answers now."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """It answers none."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        self.idle.clear()
        try:
            await self.application(scope, receive, send)
        finally:
            self.requests -= 1
            if self.requests == 0:
                self.idle.set()


class Exchangeable:
    """The ASGI application; ``use`` one before the first request, and ``close`` it after the last."""

    def __init__(self) -> None:
        self._now: _Served | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application of now answer."""
        if self._now is None:
            raise RuntimeError("no application yet")
        await self._now.answer(scope, receive, send)

    def use(self, application: ASGIApp, close: Close) -> None:
        """From now on, requests are this one's; ``close``: called when another has its place and its last one ended."""
        before, self._now = self._now, _Served(application, close)
        self._now.idle.set()
        if before is not None:
            task = asyncio.create_task(_retire(before), name="an application's last requests")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Close all, when nobody asks any more."""
        if self._now is not None:
            await self._now.close()
        await asyncio.gather(*self._retiring)


async def _retire(served: _Served) -> None:
    await served.idle.wait()
    await served.close()
