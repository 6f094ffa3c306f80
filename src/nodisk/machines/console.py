"""A virtual machine's serial console: its log, or the line itself through a unix socket."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from nodisk.errors import NodiskError

ESCAPE = b"\x1d"
"""Ctrl-], as telnet and virsh have it, leaves the console."""
CHUNK = 4096


def log_text(path: Path, *, follow: bool) -> Iterator[bytes]:
    """The console's log from its beginning; with ``follow`` it never ends."""
    with path.open("rb") as log:
        while True:
            if data := log.read(CHUNK):
                yield data
            elif not follow:
                return
            else:
                time.sleep(0.2)


def attach(path: Path) -> None:
    """Join this terminal to the serial line until Ctrl-] or until the machine is switched off."""
    if not sys.stdin.isatty():
        raise NodiskError(
            "an interactive console needs a terminal", hint="print the log with nodisk lab console NAME --log"
        )
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(path))
        except OSError as error:
            raise NodiskError(f"no console at {path}: {error.strerror}", hint="check that the machine is on") from error
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        try:
            tty.setraw(terminal)
            _join(terminal, link)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _join(terminal: int, link: socket.socket) -> None:
    while True:
        readable, _, _ = select.select([terminal, link.fileno()], [], [])
        if link.fileno() in readable:
            data = link.recv(CHUNK)
            if not data:
                return
            os.write(sys.stdout.fileno(), data)
        if terminal in readable:
            typed = os.read(terminal, CHUNK)
            before, escape, _ = typed.partition(ESCAPE)
            link.sendall(before)
            if escape or not typed:
                return
