"""The console beside ``nodisk serve``: its application on a unix socket, which only nginx' workers may reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nodisk.console import terminal_messages
from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.records import host as host_record
from nodisk.records.database import Database
from nodisk.server import unix_http

SOCKET = "console.sock"


async def keep(context: LabContext, say: Callable[[str], None]) -> None:
    """Serve the console until this is cancelled."""
    place = host_record.read(context.state.host)
    if place is None:
        raise NodiskError(f"{context.state.host} is missing or damaged", hint="start nodisk serve again")
    snapshot = Snapshot(context)
    try:
        with Database(context.state.database) as database:
            console = Console(context.lab, database, snapshot)
            path = context.state.run / SOCKET
            async with unix_http.serving(
                application(console), path, place.web_user, "console", most_message=terminal_messages.MOST
            ) as task:
                sweeping = asyncio.create_task(console.terminals.keep_swept(context))
                try:
                    await asyncio.shield(task)
                finally:
                    sweeping.cancel()
                    console.stopping.set()
                    await console.terminals.stop()
                    await console.errands.close()
    finally:
        await snapshot.close()
