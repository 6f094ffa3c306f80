"""The only user of ``subprocess``: programs are run from argument lists, never by a shell.

Every command is logged as a line that can be pasted into a terminal. A secret is never an argument: it goes through
``stdin`` or a file with mode 0600.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn, cast

from nodisk import interrupts
from nodisk.errors import CommandFailed, TimedOut, ToolMissing

log = logging.getLogger("nodisk.run")

# Which Debian package brings a program, where the names differ.
PACKAGES = {
    "arping": "iputils-arping",
    "dnsmasq": "dnsmasq-base",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "ip": "iproute2",
    "ganesha.nfsd": "nfs-ganesha",
    "mkfs.ext4": "e2fsprogs",
    "fsfreeze": "util-linux",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "nft": "nftables",
    "nginx": "nginx-light",
    "ping": "iputils-ping",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-analyze": "systemd",
    "unbound-control": "unbound",
}

# Daemons live where an ordinary user's PATH doesn't look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find(tool: str) -> Path:
    """The path of a program; raises ToolMissing with the package that provides it."""
    path = shutil.which(tool, path=SEARCH_PATH)
    if path is None:
        raise ToolMissing(tool, package=PACKAGES.get(tool))
    return Path(path)


def _argv(argv: Sequence[str | Path], netns: str | None = None) -> list[str]:
    words = [str(word) for word in argv]
    words[0] = words[0] if "/" in words[0] else str(find(words[0]))
    if netns is not None:
        words = [str(find("ip")), "netns", "exec", netns, *words]
    log.debug("$ %s", shlex.join(words))
    return words


def _env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PATH": SEARCH_PATH, **(env or {})}


def tied(argv: Sequence[str | Path], number: signal.Signals = signal.SIGKILL) -> list[str | Path]:
    """The command line of a program that gets this signal when its parent dies, also by ``kill -9``.

    That ends this one program. What it has started in turn goes with it only in a ``cage``.
    """
    return ["setpriv", "--pdeathsig", number.name.removeprefix("SIG"), *argv]


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    netns: str | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed.

    ``env`` is added to the environment; ``netns`` names the network namespace to run in; ``timeout`` is in
    seconds. Raises ToolMissing, TimedOut, and
    CommandFailed unless ``check`` is False.
    """
    words = _argv(argv, netns)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=_env(env),
    ) as child:
        interrupts.children.add(child)
        try:
            printed, complained = child.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise TimedOut(f"{words[0]} timed out after {timeout:g} seconds") from error
        except BaseException:
            child.kill()
            raise
        finally:
            interrupts.children.discard(child)
    out = (printed or b"").decode(errors="replace")
    err = complained.decode(errors="replace")
    if check and child.returncode != 0:
        raise CommandFailed(words, child.returncode, err or out)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def start(
    argv: Sequence[str | Path],
    *,
    log_file: Path,
    netns: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that outlives this one, in a session of its own, its output appended to ``log_file``."""
    words = _argv(argv, netns)
    with log_file.open("ab") as sink:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=_env(),
            start_new_session=True,
        )


@contextlib.contextmanager
def held(argv: Sequence[str | Path], *, cwd: Path) -> Iterator[str]:
    """Run a program that waits for the end of its input while the block runs; yields the first line that it prints.

    That end also comes when this process is killed. The program is in a session of its own, so that a terminal's
    Ctrl-C doesn't end it before it has tidied up.
    """
    with subprocess.Popen(
        _argv(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=_env(),
        start_new_session=True,
    ) as child:
        said, end = cast("IO[bytes]", child.stdout), cast("IO[bytes]", child.stdin)
        try:
            yield said.readline().decode(errors="replace").strip()
        finally:
            end.close()
            child.wait()


async def start_async(
    argv: Sequence[str | Path], *, apart: bool = False, sends: bool = False
) -> asyncio.subprocess.Process:
    """Start a child of this process whose output (both streams in ``stdout``, unless ``apart``) is read by pipe.

    ``sends``: the child also reads a pipe, ``stdin``; else there is nothing for it to read.
    """
    return await asyncio.create_subprocess_exec(
        *_argv(argv),
        stdin=asyncio.subprocess.PIPE if sends else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if apart else asyncio.subprocess.STDOUT,
        env=_env(),
        start_new_session=True,
    )


def replace(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, netns: str | None = None) -> NoReturn:
    """Become another program (kubectl, ssh): its terminal, signals and exit status are then its own."""
    words = _argv(argv, netns)
    os.execve(words[0], words, _env(env))  # noqa: S606 - no shell is wanted
