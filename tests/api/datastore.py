"""A control plane whose etcd is kept running by nodisk's own supervisor, on a small disk that can be slow or full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.api.apiserver import ControlPlane

from nodisk.server.supervisor import Daemon, Supervisor

CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class KeptPlane(ControlPlane):
    """As ``ControlPlane``; its etcd is started, and started again, as ``nodisk serve`` does it."""

    said: list[str] = field(default_factory=list)
    """What the supervisor had to say."""

    def _start_etcd(self) -> None:
        self._end = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._keep(started)), daemon=True)
        self._thread.start()
        assert started.wait(120), self.said

    async def _keep(self, started: threading.Event) -> None:
        supervisor = Supervisor(self.folder, self.said.append)
        await supervisor.start([Daemon("etcd", tuple(self.etcd_words()), self._answers)])
        started.set()
        await self._end.wait()
        await supervisor.stop()

    async def _answers(self) -> bool:
        return await asyncio.to_thread(lambda: "true" in self.etcd_get("/health"))

    def stop(self) -> None:
        super().stop()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(60)
        self._loop.close()

    def etcd_get(self, path: str) -> str:
        """What etcd answers by HTTP; empty: nothing."""
        url = f"http://127.0.0.1:{self.etcd_port}{path}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=3) as answer:
            return str(answer.read().decode())
        return ""

    def etcd_pid(self) -> int | None:
        """etcd itself, not what cages it; None: it doesn't run."""
        data = f"--data-dir={self.etcd_data}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/etcd") and data in words:
                    return int(process.name)
        return None

    def signal_etcd(self, number: signal.Signals) -> None:
        """Send a signal to etcd, which must run."""
        pid = self.etcd_pid()
        assert pid is not None, self.said
        os.kill(pid, number)

    def seconds_a_sync(self) -> tuple[float, int]:
        """By etcd's own metrics: all the seconds in which it waited for its log to be synced, and how often."""
        text = self.etcd_get("/metrics")
        found = dict(re.findall(r"^etcd_disk_wal_fsync_duration_seconds_(sum|count) (\S+)$", text, re.MULTILINE))
        return float(found["sum"]), int(found["count"])


@contextlib.contextmanager
def slow_writes(pid: int, folder: Path, per_second: int) -> Iterator[None]:
    """Let a process make so many writes a second to the disk that ``folder`` is on, by the block layer's throttle.

    A sync is sent by the process that asks for it, so it waits. By control group v2 or v1, whichever this host has.
    """
    number = folder.stat().st_dev
    limit = f"{os.major(number)}:{os.minor(number)}"
    v1 = CGROUPS / "blkio"
    group = (v1 if v1.is_dir() else CGROUPS) / f"nodisk-test-{os.getpid()}"
    if not v1.is_dir():
        (CGROUPS / "cgroup.subtree_control").write_text("+io")
    group.mkdir()
    try:
        if v1.is_dir():
            (group / "blkio.throttle.write_iops_device").write_text(f"{limit} {per_second}")
        else:
            (group / "io.max").write_text(f"{limit} wiops={per_second}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            (group.parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the disk that ``folder`` is on to its last block; then make room again."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        for piece in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, piece)
    try:
        yield
    finally:
        filler.unlink()
