"""Having the running server take over a lab.yaml that has just been written, and finding out whether it did."""

from __future__ import annotations

from enum import StrEnum

from nodisk.assets import built
from nodisk.records import running
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.waiting import Deadline

WITHIN = 90.0
"""Seconds. A small room takes one; a thousand machines are rendered for half a minute, and are served meanwhile."""


class Outcome(StrEnum):
    """What the server did."""

    RELOADED = "reloaded"
    STOPPED = "stopped"  # there is none
    KEPT = "kept"  # it goes on with what it had
    ASKED = "asked"  # it has not answered yet
    DENIED = "denied"  # it belongs to another user

    @property
    def words(self) -> str:
        """In a sentence, with what to do."""
        return {
            Outcome.RELOADED: "The server has taken it over.",
            Outcome.STOPPED: "No server of this lab is running here: it counts once one starts (nodisk serve).",
            Outcome.KEPT: "The server goes on with what it had: nodisk events says why. Does it serve this file?",
            Outcome.ASKED: "The server was told to read it, and is not done yet: nodisk events shows when it is.",
            Outcome.DENIED: "The server belongs to another user and still has the old file: sudo systemctl reload, "
            "or send it SIGHUP.",
        }[self]


def take_over(state: LabState, lab: Lab, *, within: float = WITHIN) -> Outcome:
    """Tell the server, and wait until it serves ``lab`` or says that it doesn't."""
    deadline = Deadline(within)
    plan = built.fingerprint(state, lab)
    asked: float | None = None
    while True:
        if running.process(state) is None:
            return Outcome.STOPPED
        now = running.ready(state)
        if now is not None and now.plan == plan:
            return Outcome.RELOADED
        if now is not None and asked is not None and now.since > asked:
            return Outcome.KEPT
        if now is not None and asked is None:
            asked = now.since
            try:
                running.reload(state)
            except PermissionError:
                return Outcome.DENIED
        if not deadline.pause(0.05):
            return Outcome.ASKED
