"""When a process may be sent a signal."""

from __future__ import annotations

from pathlib import Path

from tests.support.waits import until

STILL = 0.3
"""Seconds between two looks."""


def until_asleep(pid: int) -> None:
    """Wait until the process's main thread rests in a system call.

    Python loses sight of a signal that comes amid the step from its own code into a system call, until that ends.
    """
    looks: list[list[str] | None] = [None]

    def rests() -> bool:
        looks.append(_switches(pid))
        return looks[-1] is not None and looks[-1] == looks[-2]

    until(rests, every=STILL, why=f"{pid} does not come to rest")


def _switches(pid: int) -> list[str] | None:
    """How often the main thread has gone to sleep and come back; None: it isn't asleep."""
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    asleep = any(line.split()[:2] == ["State:", "S"] for line in lines)
    return [line for line in lines if "ctxt_switches" in line] if asleep else None
