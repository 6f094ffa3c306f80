"""``nodisk serve``: from lab.yaml and the store to a server that answers machines, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodisk import files, ui
from nodisk.errors import NodiskError, describe
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.running import Ready
from nodisk.server import unix_http
from nodisk.server.in_force import Beside, InForce, Lasting, NotTaken
from nodisk.server.notify import notify
from nodisk.server.version import Version, prepare
from nodisk.spec.model import Lab
from nodisk.state import LabState

log = logging.getLogger("nodisk.server")


@dataclass(slots=True)
class Server:
    """A lab's server; ``run`` serves until SIGTERM or SIGINT. SIGHUP: read lab.yaml and the PKI again."""

    state: LabState
    load: Callable[[], Lab]
    """Reads lab.yaml, in any thread; raises SpecError."""
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """Work that runs beside the server without being part of it, by description; begun anew when lab.yaml changes."""
    lasting: Mapping[str, Lasting] = field(default_factory=dict)
    """Such work that goes on then."""
    quiet: bool = False

    def run(self) -> None:
        """Serve; raises Busy if this lab's server already runs, and errors that keep it from starting."""
        self.state.run.mkdir(parents=True, exist_ok=True)
        with (
            files.lock(self.state.run / running.LOCK, f"the server of {self.state.name}"),
            _record(self.state) as database,
        ):
            asyncio.run(self._serve(database))

    async def _serve(self, database: Database) -> None:
        loop = asyncio.get_running_loop()
        ended, asked = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        await _until(ended, self._live(database, ended, asked))

    async def _live(self, database: Database, ended: asyncio.Event, asked: asyncio.Event) -> None:
        """Serve until this is cancelled, and read lab.yaml whenever ``asked``."""
        began = time.monotonic()
        say = functools.partial(self._say, database)
        first = await asyncio.to_thread(prepare, self.state, self.load(), starts=True)
        in_force = InForce(self.state, database, say, first, beside=self.beside, lasting=self.lasting)
        place = first.place
        serving = unix_http.serving(in_force.application, place.run / "app.sock", place.web_user, "application")
        try:
            async with serving as task:
                task.add_done_callback(lambda _: ended.set())
                try:
                    await in_force.begin()
                    self._announce(in_force)
                    say(f"ready after {time.monotonic() - began:.1f} s at {first.lab.network.server}")
                    while await asked.wait():
                        asked.clear()
                        await self._reload(in_force, say)
                finally:
                    running.withdraw(self.state)
                    notify("STOPPING=1")
                    await in_force.end()
                    say("stopped")
        finally:
            await in_force.close()

    async def _reload(self, in_force: InForce, say: Callable[[str], None]) -> None:
        """Put what lab.yaml says now in force; if that has problems, or needs what is not built, all stays as it is.

        Until the last moment everything is answered as before: what can be prepared is prepared in a thread.
        """
        began = time.monotonic()
        notify("RELOADING=1")
        try:
            new = await asyncio.to_thread(self._prepare, in_force.version)
            started = await in_force.change(new)
        except NotTaken as problem:
            say(f"lab.yaml was not loaded: {problem}")
        else:
            anew = f"; started anew: {', '.join(started)}" if started else "; no daemon had to start anew"
            say(f"reloaded lab.yaml and the PKI after {time.monotonic() - began:.1f} s{anew}")
        self._announce(in_force)  # in either case: whoever asked for it learns from this that it is over

    def _prepare(self, old: Version) -> Version:
        """What lab.yaml says now; raises NotTaken."""
        try:
            lab = self.load()
            if lab.name != old.lab.name:
                raise NodiskError(f"the lab is now named {lab.name}; start a server for it")
            return prepare(self.state, lab, starts=False)
        except Exception as error:  # whatever it is, it is no reason to end what is served
            raise NotTaken(describe(error)) from error

    def _announce(self, in_force: InForce) -> None:
        """Tell who waits for it what is served now."""
        served = in_force.version
        running.announce(
            self.state,
            Ready(
                pid=os.getpid(),
                since=time.time(),
                server=str(served.lab.network.server),
                plan=served.plan,
                objects=tuple(served.found.objects),
                daemons=in_force.supervisor.pids(),
            ),
        )
        notify(f"READY=1\nSTATUS=serving {served.lab.name} at {served.lab.network.server}")

    def _say(self, database: Database, text: str) -> None:
        """Record and print a sentence. Raises nothing, so that callers go on even if the disk is full."""
        try:
            database.record(Kind.DAEMON, text, source="serve")
        except Exception as error:
            log.error("not recorded (%s): %s", describe(error), text)
        if not self.quiet:
            with contextlib.suppress(OSError):
                ui.say(text)


@contextlib.contextmanager
def _record(state: LabState) -> Iterator[Database]:
    with Database(state.database) as database:
        yield database


async def _until(ended: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` until it is ``ended``; then it is cancelled, and tidies up."""
    doing = asyncio.create_task(work)
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not doing.done():
        doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing
