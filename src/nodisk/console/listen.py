"""The console beside ``nodisk serve``: its application on a unix socket, which only nginx' workers may reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from nodisk.console import terminal_messages
from nodisk.console.app import application
from nodisk.console.common import Console
from nodisk.console.snapshot import Snapshot
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.records import host as host_record
from nodisk.records.database import Database
from nodisk.server import unix_http
from nodisk.spec.model import Lab

SOCKET = "console.sock"


@dataclass(slots=True)
class Listening:
    """The console of a lab, whose lab.yaml may change while its pages and terminals are open."""

    context: LabContext
    _console: Console | None = None

    def take(self, lab: Lab) -> None:
        """From now on, this is the lab."""
        self.context = replace(self.context, lab=lab)
        if self._console is not None:
            self._console.take(self.context)

    async def keep(self, say: Callable[[str], None]) -> None:
        """Serve the console until this is cancelled."""
        place = host_record.read(self.context.state.host)
        if place is None:
            raise NodiskError(f"{self.context.state.host} is missing or damaged", hint="start nodisk serve again")
        snapshot = Snapshot(self.context)
        try:
            with Database(self.context.state.database) as database:
                self._console = console = Console(self.context.lab, database, snapshot)
                path = self.context.state.run / SOCKET
                async with unix_http.serving(
                    application(console), path, place.web_user, "console", most_message=terminal_messages.MOST
                ) as task:
                    sweeping = asyncio.create_task(console.terminals.keep_swept(self.context))
                    try:
                        await asyncio.shield(task)
                    finally:
                        sweeping.cancel()
                        console.stopping.set()
                        await console.terminals.stop()
                        await console.errands.close()
        finally:
            self._console = None
            await snapshot.close()
