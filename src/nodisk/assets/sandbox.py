"""Building programs run in a cage (``nodisk.cage``) with a mount namespace: stopped, nothing of them stays.

The private mount namespace undoes every mount, the cage ends every descendant.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from nodisk import cage, run
from nodisk.assets import trust
from nodisk.assets.store import disk_full
from nodisk.errors import CommandFailed

_LOW = 12 * 1024**2
"""Bytes; a disk with less left counts as full: a program that ran out of space may have deleted its last file."""

# As apt says it of an https mirror, by GnuTLS (Debian 12) or OpenSSL (Debian 13).
_UNTRUSTED = re.compile("certificate verif", re.IGNORECASE)

# What decides a build's result must not come from the user's shell.
CLEAN = {"HOME": "/root", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


async def build(
    argv: Sequence[str | Path],
    *,
    log_file: Path,
    root: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    offline: bool = False,
) -> None:
    """Run a program to its end with a clean environment; its output goes to ``log_file``, by lines to ``on_line``.

    With ``root``, in that folder as its root (/proc mounted). ``offline``: in a network namespace where nothing is.
    Raises ToolMissing, CommandFailed with the last lines, or EnvironmentProblem if the disk of ``log_file`` got full.
    When cancelled, everything it started is dead on return.
    """
    if root is None and "/" not in str(argv[0]):
        run.find(str(argv[0]))  # raises ToolMissing, with the package that brings it
    variables = [f"{name}={value}" for name, value in {**CLEAN, **(env or {})}.items()]
    inside = () if root is None else (f"--root={root}",)
    away = ("--net",) if offline else ()
    log_file.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=40)
    full = False
    process = await cage.start(
        ["env", "--ignore-environment", *variables, *argv], "--mount", *away, *inside, "--mount-proc"
    )
    watch = asyncio.create_task(_until_full(log_file.parent, process))
    try:
        with log_file.open("w", encoding="utf-8", buffering=1) as log:
            log.write(f"$ {shlex.join(map(str, argv))}\n")
            async for line in _lines(process.stdout):
                log.write(line + "\n")
                tail.append(line)
                full = full or "No space left on device" in line
                if on_line is not None:
                    on_line(line)
        status = await process.wait()
    finally:
        if process.returncode is None:
            cage.kill(process)
            await asyncio.shield(process.wait())
        full = full or watch.done()
        watch.cancel()
    if status != 0:
        if full:
            raise disk_full(log_file.parent)
        failed = CommandFailed([str(word) for word in argv], status, "\n".join(tail))
        if _UNTRUSTED.search(failed.message):
            failed.hint = f"{trust.missing_file() or ''}; {trust.ADD_HINT}".removeprefix("; ")
        raise failed


async def _until_full(folder: Path, process: asyncio.subprocess.Process) -> None:
    """Return when the disk is full, having killed the program: some (mmdebstrap) would wait for ever then."""
    while shutil.disk_usage(folder).free >= _LOW:
        await asyncio.sleep(1)
    cage.kill(process)


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    rest = b""
    while stream is not None and (chunk := await stream.read(65536)):
        *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
