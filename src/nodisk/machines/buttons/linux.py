"""A machine as its own Linux shows it: it answers ping or reports events, and shuts down when asked over ssh."""

from __future__ import annotations

import time

from nodisk import run
from nodisk.context import LabContext
from nodisk.errors import NodiskError, TimedOut
from nodisk.machines import ssh
from nodisk.machines.buttons.button import PowerTrouble, Seen, State, no_answer, stop_if_interrupted
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.model import Machine
from nodisk.waiting import Deadline

_TAKEN = "nodisk: shutting down"
SILENT = 4
"""Pings without an answer, a second each, after which a machine that was told to shut down has done so."""


class Linux:
    """One machine, seen from the lab's network."""

    def __init__(self, context: LabContext, machine: Machine) -> None:
        self._context, self._machine = context, machine

    def seen(self, since: float) -> str | None:
        """By what it is seen to be on: a step of its boot after ``since`` (seconds since 1970), or ping; else None."""
        with Database(self._context.state.database, reading=True) as database:
            found = database.events(since=since, mac=self._machine.mac, kinds=(Kind.STAGE,))
        if found and found[-1].stage is not None:
            return f"it has come as far as {found[-1].stage}"
        return "it answers ping" if self._answers() else None

    def gone(self) -> Seen:
        """Whether it is gone, after it was told to shut down: silent for a while, and nothing of a new boot."""
        asked = time.time()
        for _ in range(SILENT):
            second = Deadline(1)
            if words := self.seen(asked):
                return Seen(State.ON, words)
            stop_if_interrupted()
            second.pause(1)
        return Seen(State.OFF, "it shut down and is silent since")

    def power_off(self, within: float) -> None:
        """Tell it to shut down; raises PowerTrouble unless it says that it does."""
        try:
            words = ssh.arguments(self._context, str(self._machine.name), ())
            script = f"sudo -n systemctl --no-block poweroff && echo '{_TAKEN}'"
            done = run.run(
                [words[0], "-o", "BatchMode=yes", *words[1:], script],
                netns=self._context.netns,
                timeout=within,
                check=False,
            )
        except TimedOut as error:
            raise PowerTrouble(f"ssh: {no_answer(within)}") from error
        except PowerTrouble:
            raise
        except NodiskError as error:
            raise PowerTrouble(f"can't be told to shut down over ssh: {error.message}", hint=error.hint) from error
        if _TAKEN not in done.stdout:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise PowerTrouble(f"can't be told to shut down over ssh: {lines[-1][:160] if lines else 'no answer'}")

    def _answers(self) -> bool:
        words = ["ping", "-n", "-q", "-c", "1", "-W", "1", str(self._machine.address)]
        return run.run(words, netns=self._context.netns, check=False, timeout=10).returncode == 0
