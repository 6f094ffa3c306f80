"""What a way to switch a machine must be able to do, and what comes of it. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from nodisk import interrupts
from nodisk.errors import NodiskError
from nodisk.waiting import Deadline

T = TypeVar("T")
_SLICE = 0.1


class Wish(StrEnum):
    """What is wanted."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"
    STATUS = "status"


class State(StrEnum):
    """What was last seen of a machine's power."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How much is known of what was wanted."""

    CONFIRMED = "confirmed"
    """It was seen to be so."""
    ASKED = "asked"
    """The request was taken, but it was not seen to be so in the time there was."""
    UNKNOWN = "unknown"
    """The request could not be made, or nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A state, and by what it was seen."""

    state: State
    words: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one wish for one machine."""

    machine: str
    how: str
    """By what means: ``ipmi 10.77.1.5``."""
    outcome: Outcome
    state: State
    detail: str
    already: bool = False
    """It was so before anything was asked for."""

    def to_json(self) -> dict[str, Any]:
        """The stable form of ``nodisk power … --output json``."""
        return {
            "name": self.machine,
            "how": self.how,
            "outcome": str(self.outcome),
            "state": str(self.state),
            "already": self.already,
            "detail": self.detail,
        }


class PowerTrouble(NodiskError):
    """A machine's power could not be asked or switched; the message is the reason, in a line."""


class Button(Protocol):
    """One machine's way. Every method raises PowerTrouble, and takes at most about ``within`` seconds."""

    @property
    def how(self) -> str:
        """By what means, for people."""

    def look(self, within: float) -> Seen:
        """Whether it is on, as far as this way can tell."""

    def on(self, within: float) -> None:
        """Ask for it to be switched on."""

    def off(self, within: float) -> None:
        """Ask for an orderly shutdown."""

    def cut(self, within: float) -> None:
        """Ask for its power to be taken away at once."""


def bounded(ask: Callable[[], T], within: float) -> T:
    """Do something that has no time limit of its own as a whole (an answer that trickles in).

    Raises PowerTrouble after ``within`` seconds or on Ctrl-C: the thread that waits is left behind.
    """
    answers: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="nodisk-power", daemon=True)
    thread.start()
    deadline = Deadline(within)
    while thread.is_alive() and not deadline.passed:
        thread.join(_SLICE)
        stop_if_interrupted()
    if errors:
        raise errors[0]
    if not answers:
        raise PowerTrouble(no_answer(within))
    return answers[0]


def no_answer(within: float) -> str:
    """What is said of somebody who hangs."""
    return f"no answer within {within:.0f} s"


def rest(seconds: float) -> None:
    """Wait, but not beyond Ctrl-C; raises PowerTrouble then."""
    deadline = Deadline(seconds)
    while not deadline.passed:
        stop_if_interrupted()
        deadline.pause(_SLICE)


def stop_if_interrupted() -> None:
    """Raise PowerTrouble after Ctrl-C: threads don't hear of it otherwise."""
    if interrupts.came():
        raise PowerTrouble("interrupted before an answer came")
