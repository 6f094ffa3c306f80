"""The two long-running processes of a virtual lab on the host: ``nodisk serve`` in its namespace, and the forwarder.

Both outlive the command that starts them; the server is found again by its lock, the forwarder by the words of its
command line.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.errors import NodiskError, TimedOut
from nodisk.machines import forward, processes
from nodisk.machines.segment import Segment
from nodisk.records import running
from nodisk.state import LabState
from nodisk.waiting import Deadline, until

START_WITHIN = 90.0
"""Seconds: the first start makes the PKI."""
STOP_WITHIN = 45.0


@dataclass(frozen=True, slots=True)
class Services:
    """The server and the forwarder of one virtual lab."""

    file: Path
    state: LabState
    segment: Segment

    @property
    def server_log(self) -> Path:
        """What ``nodisk serve`` prints."""
        return self.state.log / "serve.log"

    def start_server(self) -> bool:
        """Start the server if it doesn't run, and wait until it answers; returns whether it was started."""
        started = None
        if running.process(self.state) is None:
            self.state.log.mkdir(parents=True, exist_ok=True)
            started = run.start(self._server_words(), log_file=self.server_log, netns=self.segment.netns)
        self._await_server(started)
        return started is not None

    def update_server(self, plan: str) -> bool:
        """Have the server that runs take over a changed lab.yaml or a new build; returns whether there was anything.

        ``plan``: the digest of what it should serve (``built.fingerprint``). Raises NodiskError if it refuses.
        """
        before = running.ready(self.state)
        if before is not None and before.plan == plan:
            return False
        running.reload(self.state)
        self._await_server(since=0.0 if before is None else before.since)
        if running.is_stale(self.state, plan) or running.ready(self.state) is None:
            raise NodiskError(
                f"the server did not load the changes:\n{tail(self.server_log, 4)}",
                hint="see nodisk events for the reason; the server keeps its previous configuration",
            )
        return True

    def _await_server(self, started: subprocess.Popen[bytes] | None = None, *, since: float = 0.0) -> None:
        """Wait until the server answers, and has begun to after ``since``; ``started``: its process, just begun."""
        deadline = Deadline(START_WITHIN)
        while (found := running.ready(self.state)) is None or found.since <= since:
            if started is None or started.poll() is not None:  # until it has its lock, only its parent knows of it
                self.check_server()
            if not deadline.pause(0.1):
                raise TimedOut(
                    f"the server does not answer after {START_WITHIN:g} seconds:\n{tail(self.server_log)}",
                    hint=f"see its log: {self.server_log}",
                )

    def check_server(self) -> None:
        """Raise NodiskError with its last words if the server ended."""
        if running.process(self.state) is None:
            raise NodiskError(
                f"the server exited:\n{tail(self.server_log)}",
                hint=f"restart it with nodisk lab up; see its log: {self.server_log}",
            )

    def start_forwarder(self) -> dict[str, int]:
        """Start the forwarder if it doesn't run; returns its ports by name (``api``, ``http``)."""
        if not processes.find(_forwarder_words(self.state)[1:]):
            (self.state.run / forward.RECORD).unlink(missing_ok=True)
            run.start(_forwarder_words(self.state), log_file=self.state.log / "forward.log")
        ports = until(functools.partial(forward.ports, self.state.run), Deadline(20), every=0.05)
        if not ports:
            raise NodiskError(f"the port forwarder did not start:\n{tail(self.state.log / 'forward.log')}")
        return ports

    def _server_words(self) -> tuple[str, ...]:
        state = str(self.state.state.root)
        return (sys.executable, "-m", "nodisk", "serve", "--lab", str(self.file), "--state", state)


def stop_server(state: LabState) -> list[int]:
    """Stop a lab's server and, with it, its daemons."""
    found = running.process(state)
    return [] if found is None else processes.end([found], words=("serve",), grace=STOP_WITHIN)


def stop_forwarder(state: LabState) -> list[int]:
    """Stop a lab's forwarder."""
    ended = processes.end(processes.find(_forwarder_words(state)[1:]))
    (state.run / forward.RECORD).unlink(missing_ok=True)
    return ended


def _forwarder_words(state: LabState) -> tuple[str, ...]:
    return (sys.executable, "-m", "nodisk.machines.forward", str(state.run), str(state.root / forward.RECORD))


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) or "(it printed nothing)"
    except FileNotFoundError:
        return "(it printed nothing)"
