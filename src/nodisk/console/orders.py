"""What the console may have done to machines: each order is a command of nodisk, and what came of it. Pure."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from nodisk.machines.buttons.button import Outcome
from nodisk.spec.model import Lab, Machine

LONGEST_DETAIL = 300
"""Characters of what is said of one machine."""


class Action(StrEnum):
    """What can be done to machines."""

    ON = "on"
    OFF = "off"
    DRAIN = "drain"
    CYCLE = "cycle"
    RETRY = "retry"
    WAKE = "wake"
    EMPTY = "empty"
    REOPEN = "reopen"


WORDS = {
    Action.ON: "Switch on",
    Action.OFF: "Shut down",
    Action.DRAIN: "Move pods away, then shut down",
    Action.CYCLE: "Shut down, then switch on again",
    Action.RETRY: "Cut the power, then switch on again",
    Action.WAKE: "Send wake-up packets, and don't wait",
    Action.EMPTY: "Move pods away, and accept no new ones",
    Action.REOPEN: "Accept pods again",
}
COMMANDS: Mapping[Action, tuple[str, ...]] = {
    Action.ON: ("power", "on"),
    Action.OFF: ("power", "off"),
    Action.DRAIN: ("power", "off", "--drain"),
    Action.CYCLE: ("power", "cycle"),
    Action.RETRY: ("power", "cycle", "--cut"),
    Action.WAKE: ("power", "wake"),
    Action.EMPTY: ("machines", "drain"),
    Action.REOPEN: ("machines", "drain", "--back"),
}
SILENT = frozenset({Action.WAKE})
"""Actions that wait for no answer: a request that was sent was asked, and no more is known."""

OF_CLUSTER = frozenset({Action.EMPTY, Action.REOPEN})
"""Actions with nodes: there are none in a lab without a cluster."""


class Asked(Protocol):
    """Something that somebody is asked to confirm."""

    @property
    def action(self) -> StrEnum:
        """What is to be done."""

    @property
    def targets(self) -> tuple[str, ...]:
        """To whom or what; never nobody."""

    @property
    def heading(self) -> str:
        """What they are: ``Machines``."""

    @property
    def line(self) -> str:
        """The command as one pastes it."""


class AnyOrder(Asked, Protocol):
    """Something that somebody has done by a command of nodisk."""

    @property
    def held(self) -> frozenset[str]:
        """What no other order may change at the same time."""

    @property
    def class_name(self) -> str:
        """The class that it changes; empty: none."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs."""

    @property
    def sent(self) -> bytes:
        """What the command reads from its standard input."""

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """What came of it, from the command's exit status, standard output and standard error."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came of an order for one machine, or for a class."""

    name: str
    outcome: Outcome
    detail: str


class LabOrder(ABC):
    """An order that changes no class: its command reads nothing, and is pasted as the server runs it."""

    __slots__ = ()

    @property
    def class_name(self) -> str:
        """No class is changed."""
        return ""

    @property
    @abstractmethod
    def words(self) -> tuple[str, ...]:
        """The words that the server runs."""

    @property
    def line(self) -> str:
        """The command as one pastes it."""
        return shlex.join(("nodisk", *self.words))

    @property
    def sent(self) -> bytes:
        """It reads nothing."""
        return b""


@dataclass(frozen=True, slots=True)
class MachinesOrder(LabOrder):
    """One action for some machines of the lab."""

    action: StrEnum
    machines: tuple[str, ...]
    """Their names; never none."""
    everything: bool
    """Whether these are all machines of the lab."""

    @abstractmethod
    def command(self, machines: Sequence[str]) -> tuple[str, ...]:
        """The equal command's words, without the program's name, for machines by name or by ``--all``."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs: by name, so that a machine that came meanwhile is not meant."""
        return self.command(self.machines)

    @property
    def line(self) -> str:
        """The command as one pastes it."""
        return shlex.join(("nodisk", *self.command(("--all",) if self.everything else self.machines)))

    @property
    def targets(self) -> tuple[str, ...]:
        """The machines."""
        return self.machines

    @property
    def heading(self) -> str:
        """What they are."""
        return "Machines"

    @property
    def held(self) -> frozenset[str]:
        """A machine is switched by one order at a time."""
        return frozenset(self.machines)


@dataclass(frozen=True, slots=True)
class Order(MachinesOrder):
    """Machines that are switched, or whose nodes are emptied."""

    action: Action

    def command(self, machines: Sequence[str]) -> tuple[str, ...]:
        """``nodisk power`` or ``nodisk machines drain``."""
        return (*COMMANDS[self.action], *machines)

    @property
    def words(self) -> tuple[str, ...]:
        """With an answer for each machine, where there is one."""
        found = self.command(self.machines)
        return found if self.action in SILENT else (*found, "--output", "json")

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """What the end says of each machine; one of which it says nothing is unknown, with its error."""
        if self.action in SILENT and status == 0:
            return tuple(Came(name, Outcome.ASKED, "") for name in self.machines)
        told = _told(output)
        error = error_of(status, errors)
        return tuple(told.get(name, Came(name, Outcome.UNKNOWN, error)) for name in self.machines)


def order(lab: Lab, action: str, names: Sequence[str], *, row: str = "", every: bool = False) -> Order | None:
    """The order of a request: all machines, else those of a row of seats, else those named; None: it is for nobody.

    Names that lab.yaml doesn't have count for nothing, and so does a row in which nobody sits.
    """
    found = meant(lab, names, row=row, every=every)
    if action not in actions(lab):
        return None
    return Order(Action(action), found, len(found) == len(lab.machines)) if found else None


def meant(lab: Lab, names: Sequence[str], *, row: str = "", every: bool = False) -> tuple[str, ...]:
    """The machines of a request by name: all, else those of a row of seats, else those named."""
    asked = set(names)
    return tuple(
        str(machine.name)
        for machine in lab.machines
        if every or (_sits(machine, row) if row else str(machine.name) in asked)
    )


def actions(lab: Lab) -> tuple[Action, ...]:
    """What can be done to machines of a lab."""
    return tuple(action for action in Action if lab.has_cluster or action not in OF_CLUSTER)


def rows(lab: Lab) -> tuple[int, ...]:
    """The rows of the room in which machines sit."""
    return tuple(sorted({machine.seat.row for machine in lab.machines if machine.seat is not None}))


def _sits(machine: Machine, row: str) -> bool:
    return machine.seat is not None and str(machine.seat.row) == row


def counts(found: Sequence[Came]) -> dict[Outcome, int]:
    """How many there are of each outcome."""
    return {outcome: sum(one.outcome is outcome for one in found) for outcome in Outcome}


def summary(found: Sequence[Came]) -> str:
    """The same in words, for the log."""
    return ", ".join(f"{count} {outcome}" for outcome, count in counts(found).items() if count)


def _told(output: str) -> dict[str, Came]:
    """What ``nodisk power`` and ``nodisk machines drain`` say in JSON; nothing, if it isn't that."""
    try:
        answers: Any = json.loads(output)["machines"]
        return {
            one["name"]: Came(one["name"], Outcome(one["outcome"]), str(one["detail"])[:LONGEST_DETAIL])
            for one in answers
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def error_of(status: int, errors: str) -> str:
    """Why a command failed, in one line: its error with its hint, else its status."""
    _, found, rest = errors.rpartition("error: ")
    said = " ".join(rest.replace("\nhint: ", " (").split()) + (")" if "\nhint: " in rest else "") if found else ""
    return (said or f"the command ended with status {status}")[:LONGEST_DETAIL]
