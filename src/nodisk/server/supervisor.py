"""Keep daemons running: start, wait until each answers, restart what dies or has changed, stop all in order.

Each runs in a cage (``nodisk.cage``), so nothing of it outlives the server, however that ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from nodisk import cage
from nodisk.errors import EnvironmentProblem, NodiskError, describe
from nodisk.waiting import Deadline

log = logging.getLogger("nodisk.server")

BACKOFF = (0.5, 1, 2, 4, 8, 15, 30)
"""Seconds before each restart of a daemon that keeps dying."""
STEADY = 60.0
"""Seconds after which a daemon counts as stable, and its next death resets the back-off."""
READY_WITHIN = 75.0
"""Seconds to start: a busy host is slow, and a daemon that can't start ends at once anyway."""
STOP_WITHIN = 15.0
MAX_LOG = 8 * 1024 * 1024
"""Size in bytes at which a log is renamed to NAME.log.1."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One program to keep running."""

    name: str
    argv: tuple[str | Path, ...]
    probe: Callable[[], Awaitable[bool]]
    """Whether it answers; called until it does."""
    reads: tuple[Path, ...] = ()
    """Files that it reads when it starts and not again: of what has changed in them it learns by a new start alone."""
    leftovers: tuple[Path, ...] = ()
    """Unix sockets and pid files that it creates and that would prevent a restart: removed before each start."""
    on_line: Callable[[str], None] | None = None
    """Called with each line that it prints."""

    def made_of(self) -> str:
        """A digest of its command line and of what the files that it reads hold now.

        Its environment is this process's own, and the same for as long as this runs.
        """
        digest = hashlib.sha256(repr([str(word) for word in (*self.argv, *self.reads)]).encode())
        for path in self.reads:
            with contextlib.suppress(OSError):  # what is missing is for the daemon itself to report
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


@dataclass(slots=True)
class _Child:
    daemon: Daemon
    process: asyncio.subprocess.Process
    started: float
    made_of: str
    """As ``Daemon.made_of`` was when it started."""
    reader: asyncio.Task[None]
    tail: collections.deque[str]


@dataclass(slots=True)
class Supervisor:
    """Runs daemons; ``note`` gets a sentence about anything that an administrator should know."""

    log_folder: Path
    note: Callable[[str], None]
    _daemons: dict[str, Daemon] = field(default_factory=dict)
    """In the order in which they were started; they are stopped from the last to the first."""
    _children: dict[str, _Child] = field(default_factory=dict)
    _keepers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def change(self, daemons: Sequence[Daemon]) -> tuple[str, ...]:
        """Run exactly these from now on; returns the names of those that were started for it.

        One that runs and is made of the same goes on untouched. All others are stopped, the last one first, and then
        these are started. If one fails, those that were started here are stopped, and its error is raised.
        """
        same = {daemon.name for daemon in daemons if self._runs(daemon)}
        for name in reversed(list(self._daemons)):
            if name not in same:
                await self.halt(name)
        # A daemon that goes on may have another probe now: with new certificates, for example.
        self._daemons = {daemon.name: daemon for daemon in daemons if daemon.name in same}
        fresh = [daemon for daemon in daemons if daemon.name not in same]
        await self.start(fresh)
        self._daemons = {daemon.name: daemon for daemon in daemons}
        return tuple(daemon.name for daemon in fresh)

    async def start(self, daemons: Sequence[Daemon]) -> None:
        """Start these at once and return when each answers; if one fails, stop these again and raise its error."""
        self._daemons |= {daemon.name: daemon for daemon in daemons}
        try:
            async with asyncio.TaskGroup() as group:
                for daemon in daemons:
                    group.create_task(self._first_start(daemon))
        except BaseException as error:
            for daemon in reversed(daemons):
                await self.halt(daemon.name)
            if isinstance(error, BaseExceptionGroup):
                problems = error.exceptions
                raise next((one for one in problems if isinstance(one, NodiskError)), problems[0]) from None
            raise
        for daemon in daemons:
            self._keepers[daemon.name] = asyncio.create_task(self._keep(daemon.name), name=f"keep {daemon.name}")

    async def stop(self) -> None:
        """Stop all, the last one first."""
        for keeper in self._keepers.values():
            keeper.cancel()
        for name in reversed(list(self._daemons)):
            await self.halt(name)

    async def halt(self, name: str) -> None:
        """Stop one if it runs, and don't restart it."""
        if keeper := self._keepers.pop(name, None):
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if child := self._children.get(name):
            await _end(child)
            del self._children[name]
        if daemon := self._daemons.pop(name, None):
            for path in daemon.leftovers:
                path.unlink(missing_ok=True)

    def tell(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a daemon's own process. Nothing if it doesn't run: it then starts with what there is."""
        if child := self._children.get(name):
            cage.signal_program(child.process, number)

    def pids(self) -> dict[str, int]:
        """The outermost process of each daemon."""
        return {name: child.process.pid for name, child in self._children.items()}

    def _runs(self, daemon: Daemon) -> bool:
        """Whether one of its name runs that is made of the same."""
        child = self._children.get(daemon.name)
        return child is not None and child.process.returncode is None and child.made_of == daemon.made_of()

    async def _first_start(self, daemon: Daemon) -> None:
        child = await self._spawn(daemon)
        if not await self._answers(child):
            words = "\n".join(list(child.tail)[-10:]) or "no output"
            dead = child.process.returncode is not None
            what = (
                f"ended with status {child.process.returncode}" if dead else f"does not answer after {READY_WITHIN:g} s"
            )
            raise EnvironmentProblem(
                f"{daemon.name} {what}:\n{words}", hint=f"see its log: {self.log_folder / daemon.name}.log"
            )

    async def _spawn(self, daemon: Daemon) -> _Child:
        for path in daemon.leftovers:
            path.unlink(missing_ok=True)
        made_of = daemon.made_of()
        process = await cage.start(daemon.argv)
        tail: collections.deque[str] = collections.deque(maxlen=50)
        reader = asyncio.create_task(self._read(daemon, process, tail), name=f"read {daemon.name}")
        child = _Child(daemon, process, time.monotonic(), made_of, reader, tail)
        self._children[daemon.name] = child
        return child

    async def _answers(self, child: _Child) -> bool:
        """Probe until it answers, it ends, or time is up."""
        deadline = Deadline(READY_WITHIN)
        while child.process.returncode is None:
            if await child.daemon.probe():
                return True
            if not await deadline.pause_async(0.05):
                break
        if child.process.returncode is not None:
            await asyncio.wait([child.reader], timeout=2)
        return False

    async def _keep(self, name: str) -> None:
        """Restart it whenever it ends, never answers, or could not be started."""
        failures = 0
        child: _Child | None = self._children[name]
        while True:
            if child is not None:
                status = await child.process.wait()
                if time.monotonic() - child.started >= STEADY:
                    failures = 0
                words = f"ended (status {status}): {child.tail[-1] if child.tail else 'without a word'}"
                await _end(child)
            pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
            failures += 1
            self._say(f"{name} {words}; restarting in {pause:g} s")
            await asyncio.sleep(pause)
            child = None
            try:
                child = await self._spawn(self._daemons[name])
                if await self._answers(child):
                    self._say(f"{name} is running again")
                else:
                    await _end(child)
            except Exception as error:  # no memory for a process, a program that was removed, a probe's own mistake
                words = f"could not be started: {describe(error)}"
                if child is not None:
                    await _end(child)
                    child = None

    def _say(self, text: str) -> None:
        """Call ``note``; the keeper goes on even if that fails."""
        try:
            self.note(text)
        except Exception:
            log.exception("%s; and it could not be recorded", text)

    async def _read(self, daemon: Daemon, process: asyncio.subprocess.Process, tail: collections.deque[str]) -> None:
        """Copy its output to its log, and pass each line on."""
        if process.stdout is None:
            raise AssertionError("started without a pipe")
        with Log(self.log_folder / f"{daemon.name}.log") as sink:
            while True:
                try:
                    raw = await process.stdout.readline()
                except ValueError:  # a line beyond the reader's limit: asyncio has dropped it
                    continue
                if not raw:
                    return
                sink.write(raw)
                line = raw.decode(errors="replace").rstrip("\n")
                if daemon.on_line is None:
                    tail.append(line)
                    continue
                try:
                    daemon.on_line(line)
                except Exception:
                    log.exception("a line of %s could not be read: %r", daemon.name, line)
                if not line.startswith("{"):
                    tail.append(line)


async def _end(child: _Child) -> None:
    """Stop a daemon, first with SIGTERM; returns when none of its processes is left."""
    process = child.process
    deadline = Deadline(STOP_WITHIN)
    while process.returncode is None and not deadline.passed:
        # Again and again: a signal that comes while unshare forks reaches only unshare, which ignores it.
        cage.kill(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):  # wait_for may lose a cancellation (Python 3.11)
                await process.wait()
    if process.returncode is None:
        cage.kill(process)  # with its first process, all of the namespace ends
        await process.wait()
    await asyncio.wait([child.reader], timeout=2)
    child.reader.cancel()


class Log:
    """A log file that keeps at most twice MAX_LOG bytes.

    A line that can't be written (on a full disk) is dropped: a daemon whose output nobody reads would block.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None

    def write(self, line: bytes) -> None:
        """Append a line, as it is."""
        with contextlib.suppress(OSError):
            if self._file is not None and self._file.tell() > MAX_LOG:
                self.close()
                self._path.replace(self._path.with_suffix(".log.1"))
            if self._file is None:
                self._file = FileIO(self._path, "a")  # unbuffered: what failed is not kept and tried again
            self._file.write(line)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.close()
