"""Keep daemons running: start, wait until each answers, restart what dies, stop all in order.

Each runs in a cage (``nodisk.cage``), so nothing of it outlives the server, however that ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
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
    leftovers: tuple[Path, ...] = ()
    """Unix sockets and pid files that it creates and that would prevent a restart: removed before each start."""
    on_line: Callable[[str], None] | None = None
    """Called with each line that it prints."""


@dataclass(slots=True)
class _Child:
    daemon: Daemon
    process: asyncio.subprocess.Process
    started: float
    reader: asyncio.Task[None]
    tail: collections.deque[str]


@dataclass(slots=True)
class Supervisor:
    """Runs daemons; ``note`` gets a sentence about anything that an administrator should know."""

    log_folder: Path
    note: Callable[[str], None]
    _children: dict[str, _Child] = field(default_factory=dict)
    _keepers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _order: list[Daemon] = field(default_factory=list)

    async def start(self, daemons: Sequence[Daemon]) -> None:
        """Start all at once and return when each answers; if one fails, stop the others and raise its error."""
        self._order = list(daemons)
        try:
            async with asyncio.TaskGroup() as group:
                for daemon in daemons:
                    group.create_task(self._first_start(daemon))
        except BaseExceptionGroup as problems:
            await self.stop()
            for problem in problems.exceptions:
                if isinstance(problem, NodiskError):
                    raise problem from None
            raise problems.exceptions[0] from None
        except BaseException:
            await self.stop()
            raise
        for daemon in daemons:
            self._keepers[daemon.name] = asyncio.create_task(self._keep(daemon), name=f"keep {daemon.name}")

    async def stop(self) -> None:
        """Stop all, the last one first."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        for daemon in reversed(self._order):
            if child := self._children.pop(daemon.name, None):
                await _end(child)
            for path in daemon.leftovers:
                path.unlink(missing_ok=True)
        self._order = []

    async def begin(self, daemon: Daemon) -> None:
        """Start one more while the others run; if it never answers, raise its error."""
        try:
            await self._first_start(daemon)
        except BaseException:
            if child := self._children.pop(daemon.name, None):
                await _end(child)
            raise
        self._order.append(daemon)
        self._keepers[daemon.name] = asyncio.create_task(self._keep(daemon), name=f"keep {daemon.name}")

    async def halt(self, name: str) -> None:
        """Stop one if it runs, and don't restart it."""
        if keeper := self._keepers.pop(name, None):
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if child := self._children.pop(name, None):
            await _end(child)
        self._order = [daemon for daemon in self._order if daemon.name != name]

    def pids(self) -> dict[str, int]:
        """The outermost process of each daemon."""
        return {name: child.process.pid for name, child in self._children.items()}

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
        process = await cage.start(daemon.argv)
        tail: collections.deque[str] = collections.deque(maxlen=50)
        reader = asyncio.create_task(self._read(daemon, process, tail), name=f"read {daemon.name}")
        child = _Child(daemon, process, time.monotonic(), reader, tail)
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

    async def _keep(self, daemon: Daemon) -> None:
        """Restart it whenever it ends, never answers, or could not be started."""
        failures = 0
        child: _Child | None = self._children[daemon.name]
        while True:
            if child is not None:
                status = await child.process.wait()
                if time.monotonic() - child.started >= STEADY:
                    failures = 0
                words = f"ended (status {status}): {child.tail[-1] if child.tail else 'without a word'}"
                await _end(child)
            pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
            failures += 1
            self._say(f"{daemon.name} {words}; restarting in {pause:g} s")
            await asyncio.sleep(pause)
            child = None
            try:
                child = await self._spawn(daemon)
                if await self._answers(child):
                    self._say(f"{daemon.name} is running again")
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
