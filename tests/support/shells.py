"""Terminals without a cluster, for tests of the console: a shell in a pseudoterminal of this host instead of a pod."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import tempfile
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from nodisk.classes.record import Account, Class
from nodisk.console.terminal_pods import NoTerminal, Ready, Say, Shell
from nodisk.kube.channels import Outcome

PROMPT = "ready> "


@dataclass(slots=True)
class Pty:
    """A shell. It is read no faster than somebody asks: the kernel's buffer is its back-pressure."""

    handle: int
    pid: int
    lost: bool = False
    """Whether it was ended from outside."""

    async def read(self) -> bytes | Outcome:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()

        def now() -> None:
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(self.handle, now)
        try:
            await readable
        finally:
            loop.remove_reader(self.handle)
        try:
            data = os.read(self.handle, 4096)
        except OSError:  # the shell has ended
            data = b""
        return data or (Outcome(None, "the pod is gone") if self.lost else Outcome(0))

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self.handle, data)

    def end(self) -> None:
        """End it and free what it has."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.handle)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    async def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@dataclass
class Host:
    """``Pods`` on this host. A student's shell goes on while no browser looks, as under tmux."""

    shells: dict[str, Pty] = field(default_factory=dict)
    generation: int = 1
    refusal: NoTerminal | None = None
    """What ``prepare`` raises instead."""
    removed: list[str] = field(default_factory=list)
    life: float = 3600.0
    """Seconds for which a key is good."""
    keys: int = 0
    """How many were given; the newest is the number in the file of the variable KEY."""
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    ended: list[Pty] = field(default_factory=list)

    async def prepare(self, found: Class, student: Account, say: Say) -> Ready:
        if self.refusal is not None:
            raise self.refusal
        await say("The terminal starts …", "")
        self.give_key()
        return Ready(f"{student.label}-{self.generation}", "token", self.life)

    async def renew(self, found: Class, student: Account) -> float:
        self.give_key()
        return self.life

    def give_key(self) -> None:
        self.keys += 1
        self.key.with_suffix(".new").write_text(f"key-{self.keys}-\n")
        self.key.with_suffix(".new").replace(self.key)

    @property
    def key(self) -> Path:
        return Path(self.folder.name) / "key"

    @contextlib.asynccontextmanager
    async def shell(self, found: Class, student: Account, ready: Ready) -> AsyncIterator[Shell]:
        name = found.namespace(student)
        if name not in self.shells:
            self.shells[name] = begin(KEY=str(self.key))
        else:
            await self.shells[name].write(b"\n")  # tmux would draw its window again; this has a prompt
        shell = self.shells[name]
        yield shell
        if self.shells.get(name) is shell and not _lives(shell.pid):
            self.end(name)

    async def remove(self, found: Class, student: Account) -> None:
        self.removed.append(student.label)
        self.end(found.namespace(student))

    def end(self, name: str) -> None:
        """As a power cut does: the shell is gone, and what comes next is another container."""
        if (shell := self.shells.pop(name, None)) is not None:
            shell.lost = True
            self.ended.append(shell)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
        self.generation += 1

    def close(self) -> None:
        for name in list(self.shells):
            self.end(name)
        for shell in self.ended:
            os.close(shell.handle)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(shell.pid, 0)
        self.folder.cleanup()


def _lives(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG) == (0, 0)


def begin(**more: str) -> Pty:
    """A shell in a pseudoterminal."""
    pid, handle = pty.fork()
    if pid == 0:
        variables = {"PS1": PROMPT, "TERM": "xterm", "PATH": os.defpath, "LC_ALL": "C.UTF-8", **more}
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile"], variables)  # noqa: S606 - the test's own
    return Pty(handle, pid)
