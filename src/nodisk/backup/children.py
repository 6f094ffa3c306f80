"""Programs that run beside a step of a backup and end with it, or with nodisk, however that ends."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodisk import run

PATIENCE = 10.0
"""Seconds for which a program may take to end by itself."""


@contextlib.contextmanager
def child(argv: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block does; its output goes to ``log``."""
    process = run.start(run.tied(argv), log_file=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail(log: Path) -> str:
    """The last line of a program's output."""
    with contextlib.suppress(OSError, IndexError):
        return log.read_text(errors="replace").strip().splitlines()[-1][:400]
    return "it said nothing"
