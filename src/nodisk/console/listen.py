"""The console beside ``nodisk serve``: its application on a unix socket, which only nginx' workers may reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.records import host as host_record
from nodisk.records.database import Database
from nodisk.server import probes

SOCKET = "console.sock"


async def keep(context: LabContext, say: Callable[[str], None]) -> None:
    """Serve the console until this is cancelled."""
    path = context.state.run / SOCKET
    path.unlink(missing_ok=True)
    snapshot = Snapshot(context)
    with Database(context.state.database) as database, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        place = host_record.read(context.state.host)
        if place is None:
            raise NodiskError(f"{context.state.host} is missing or damaged", hint="start nodisk serve again")
        probes.give_to(path, place.web_user)
        console = Console(context.lab, database, snapshot)
        server = _Uvicorn(
            uvicorn.Config(
                application(console),
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                http="h11",
                ws="none",
                timeout_graceful_shutdown=3,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="console")
        try:
            await asyncio.shield(serving)
        finally:
            console.stopping.set()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            await snapshot.close()
            path.unlink(missing_ok=True)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers, because the server handles signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
