"""Processes of a lab: found by the words of their command line, ended without ever hitting another's.

A pid file may be stale and its number reused. So a process counts as the lab's only if its command line carries the
lab's own words, and it is signalled through a pidfd: the one that was looked at is the one that is ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

from nodisk import run
from nodisk.waiting import Deadline


def command_line(pid: int) -> tuple[str, ...]:
    """The words of a process's command line; empty for a kernel thread, a zombie or one that is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(word.decode(errors="replace") for word in raw.split(b"\0") if word)


def is_ours(pid: int, words: Collection[str]) -> bool:
    """Whether the process lives and each of ``words`` is one of its arguments."""
    line = command_line(pid)
    return bool(line) and all(word in line for word in words)


def find(words: Collection[str]) -> list[int]:
    """Every process whose arguments hold each of ``words``."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return sorted(pid for pid in pids if pid != os.getpid() and is_ours(pid, words))


def from_pid_file(path: Path, words: Collection[str]) -> int | None:
    """The process that a pid file names, if it still is the one that wrote it; else None."""
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if is_ours(pid, words) else None


def in_namespace(netns: str, *, every: bool = False) -> list[int]:
    """The processes in a network namespace that have no terminal: a lab's daemons, not a person's shell.

    ``every``: those as well.
    """
    listed = run.run(["ip", "netns", "pids", netns], check=False).stdout.split()
    return [pid for pid in map(int, listed) if pid != os.getpid() and (every or not _has_terminal(pid))]


def _stat(pid: int) -> list[str] | None:
    """The fields of proc(5)'s stat after the parenthesised name: state, ppid, pgrp, session, tty_nr …; None: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _has_terminal(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[4] != "0"


def start_time(pid: int) -> float:
    """When the process started, in seconds since the epoch; 0 if it is gone."""
    stat = _stat(pid)
    if stat is None:
        return 0.0
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(stat[19]) / os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """What the process has used of this host's processors; 0 if it is gone."""
    stat = _stat(pid)
    return 0.0 if stat is None else (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def waiting_seconds(pid: int) -> float:
    """How long the process' threads could have run and got no processor, all together; 0 if it is gone.

    The second field of /proc/PID/task/TID/schedstat, in nanoseconds (the kernel's scheduler/sched-stats).
    """
    nanoseconds = 0
    for file in Path("/proc").glob(f"{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError):  # the thread has ended
            nanoseconds += int(file.read_text().split()[1])
    return nanoseconds / 1e9


@contextlib.contextmanager
def handles(pids: Collection[int]) -> Iterator[dict[int, int]]:
    """Open a pidfd for each process that lives; pid → descriptor."""
    opened: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                opened[pid] = os.pidfd_open(pid)
        yield opened
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _wait(descriptors: Collection[int], seconds: float) -> None:
    """Wait until all processes have ended, at most so many seconds."""
    poll, left = select.poll(), set(descriptors)
    for descriptor in left:
        poll.register(descriptor, select.POLLIN)  # pidfd_open(2): readable when the process has ended
    deadline = Deadline(seconds)
    while left and not deadline.passed:
        for descriptor, _ in poll.poll(deadline.left * 1000):
            poll.unregister(descriptor)
            left.discard(descriptor)


def wait_gone(pid: int, seconds: float) -> bool:
    """Whether the process ends within so many seconds."""
    with handles([pid]) as opened:
        _wait(opened.values(), seconds)
        return all(_ended(descriptor) for descriptor in opened.values())


def _ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def end(pids: Collection[int], *, words: Collection[str] = (), grace: float = 5.0) -> list[int]:
    """SIGTERM, ``grace`` seconds, SIGKILL, for those whose command line has all ``words``; returns whom it ended."""
    with handles(pids) as opened:
        # Looked at after the handle is open: the number can't be reused in between unnoticed.
        ours = {pid: fd for pid, fd in opened.items() if not words or is_ours(pid, words)}
        for signal_, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            for descriptor in ours.values():
                if not _ended(descriptor):
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, signal_)
            _wait(ours.values(), seconds)
        return sorted(ours)


def kill(pid: int, words: Collection[str]) -> bool:
    """SIGKILL at once, as a power cut; returns whether it was the lab's process. Waits for its end."""
    with handles([pid]) as opened:
        if not opened or not is_ours(pid, words):
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(opened[pid], signal.SIGKILL)
        _wait(opened.values(), 10.0)
        return True


def available_mib(meminfo: str | None = None) -> int:
    """MiB of RAM that new processes of this host can get, as /proc/meminfo has it."""
    text = Path("/proc/meminfo").read_text() if meminfo is None else meminfo
    return next(int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))


def set_nice(pid: int, nice: int) -> None:
    """Make a process, all its threads, and its session among others (sched(7), autogroup) nicer, or less so.

    A process that is gone, or a kernel without autogroups, is no error: it is a matter of speed only.
    """
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n")
