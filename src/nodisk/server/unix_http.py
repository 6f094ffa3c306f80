"""An application on a unix socket that only nginx' workers may reach: nginx is what machines and browsers speak to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from nodisk.plan.daemons_nginx import IDLE
from nodisk.server import probes


@contextlib.asynccontextmanager
async def serving(
    application: ASGIApp, path: Path, user: str, name: str, *, most_message: int = 0
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve on a socket at ``path``, which ``user`` may open, until the block ends.

    ``most_message``: bytes of a WebSocket's message; 0: it has none.

    Yields the task that serves; it ends by itself only when it fails.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        probes.give_to(path, user)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            http="h11",
            ws="websockets-sansio" if most_message else "none",
            ws_max_size=most_message,
            ws_per_message_deflate=False,
            # nginx closes first: a report sent on a connection that is just being closed would be lost.
            timeout_keep_alive=IDLE + 15,
            timeout_graceful_shutdown=3,
        )
        server = _Uvicorn(config)
        task = asyncio.create_task(server.serve(sockets=[listener]), name=name)
        try:
            while not server.started and not task.done():
                await asyncio.sleep(0.01)
            yield task
        finally:
            server.should_exit = True
            await task
            path.unlink(missing_ok=True)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers, because the server handles signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
