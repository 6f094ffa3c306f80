"""How long the server's disk takes to make a small write safe, for which etcd waits at every change.

It writes like etcd's write-ahead log: one write after another of about 2 KiB into a preallocated file, each followed by
``fdatasync``. A separate process measures, because other checks' threads would distort the figures, and because it
deletes its file whatever happens to the command: ``python -m nodisk.check.sync FILE SECONDS``.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nodisk import files, interrupts, run
from nodisk.check.findings import Finding, ok, warning
from nodisk.errors import NodiskError
from nodisk.state import LabState

_NAME = "sync"
SECONDS = 1.0
"""Seconds for which to measure."""
SLOW = 0.010
"""Seconds within which 99 of 100 writes should be safe, as etcd recommends."""
SIZE = 2300
"""Bytes of one write, as in etcd's documentation."""
MOST = 2000
"""Maximum number of writes, to limit what a fast disk gets: 4.6 MB."""
PREFIX = ".nodisk-sync-"
_HINT = (
    "etcd will be slow and may lose its leader: put the state directory (--state) on an SSD without other heavy "
    "load; see docs/how-to/preflight.md"
)


def sync(state: LabState) -> list[Finding]:
    """Measure on the disk that holds etcd's data, or will hold it."""
    folder = files.nearest(state.etcd)
    folder = folder if folder.is_dir() else folder.parent
    file = folder / f"{PREFIX}{secrets.token_hex(8)}"
    try:
        done = run.run(
            [sys.executable, "-m", "nodisk.check.sync", file, str(SECONDS)], check=False, timeout=SECONDS + 20
        )
    except NodiskError as problem:
        file.unlink(missing_ok=True)
        return [warning(_NAME, f"not measured: {problem.message}", "the disk may be very slow or faulty")]
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        return [warning(_NAME, f"not measured on {folder}: {why[0]}", "run as root, with some free space on the disk")]
    return [judge(json.loads(done.stdout), folder)]


def judge(seconds: Sequence[float], folder: Path) -> Finding:
    """What the measured times mean for etcd."""
    if not seconds:
        return warning(_NAME, f"no write to {folder} was synced within {SECONDS:g} s", _HINT)
    middle, late = percentile(seconds, 50), percentile(seconds, 99)
    text = (
        f"a write is safe on the disk of {folder} after {_ms(middle)} (half of {len(seconds)}), "
        f"{_ms(late)} (99 %); at most {_ms(SLOW)} is wanted"
    )
    return warning(_NAME, text, _HINT) if late > SLOW else ok(_NAME, text)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that this share of all values doesn't exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def measure(file: Path, seconds: float, *, stop: Callable[[], bool] = lambda: False) -> list[float]:
    """The seconds that each write took, until time is up or ``stop`` says so; creates and deletes the file.

    The file keeps its name meanwhile: some file systems (Btrfs) don't really sync an unlinked one.
    """
    data, took = os.urandom(SIZE), list[float]()
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.posix_fallocate(handle, 0, SIZE * (MOST + 1))
        os.fsync(handle)
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end and len(took) <= MOST and not stop():
            os.write(handle, data)
            os.fdatasync(handle)
            took.append(time.perf_counter() - began)
    finally:
        os.close(handle)
        file.unlink(missing_ok=True)
    return took[1:] or took  # the first one pays for what only the first one needs


def main() -> int:
    """Print the times as JSON."""
    came = list[int]()
    with contextlib.suppress(OSError):  # it is the disk that is measured, not the other checks' hunger for processors
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    # No exception: it could come between any two steps, and leave the file. No Event: a terminal's Ctrl-C and the
    # command's SIGTERM come at the same time, and the second one's handler would wait for the first one's lock.
    for number in interrupts.ENDING:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        json.dump(measure(Path(sys.argv[1]), float(sys.argv[2]), stop=lambda: bool(came)), sys.stdout)
    except OSError as problem:
        print(problem.strerror, file=sys.stderr)
        return 1
    return 130 if came else 0


if __name__ == "__main__":
    sys.exit(main())
