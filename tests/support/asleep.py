"""When a process may be sent a signal."""

from __future__ import annotations

import time
from pathlib import Path

LONG = 120.0
"""Seconds; what takes longer hangs, also on a host with ten times as much to do as it has processors."""
STILL = 0.3


def until_asleep(pid: int) -> None:
    """Wait until the process's main thread rests in a system call.

    Python loses sight of a signal that comes amid the step from its own code into a system call, until that ends.
    """
    end = time.monotonic() + LONG
    before, now = None, _switches(pid)
    while now is None or now != before:
        assert time.monotonic() < end, f"{pid} does not come to rest"
        time.sleep(STILL)
        before, now = now, _switches(pid)


def _switches(pid: int) -> list[str] | None:
    """How often the main thread has gone to sleep and come back; None: it isn't asleep."""
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    asleep = any(line.split()[:2] == ["State:", "S"] for line in lines)
    return [line for line in lines if "ctxt_switches" in line] if asleep else None
