"""Notes on PCs by the console: orders that are ``nodisk machines broken`` and ``nodisk machines ignore``. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nodisk.console import orders
from nodisk.console.orders import Came, LabOrder, MachinesOrder, error_of
from nodisk.machines.buttons.button import Outcome
from nodisk.records import remarks
from nodisk.spec.model import Lab
from nodisk.values import Mac


class NoteAction(StrEnum):
    """What can be noted of machines of the lab."""

    BROKEN = "broken"
    MENDED = "mended"


class IgnoreAction(StrEnum):
    """What can be noted of an unknown machine."""

    IGNORE = "ignore"
    AGAIN = "show_again"


WORDS = {
    NoteAction.BROKEN: "Note that it is broken",
    NoteAction.MENDED: "Note that it is mended",
}
IGNORE_WORDS = {
    IgnoreAction.IGNORE: "Ignore",
    IgnoreAction.AGAIN: "Show again",
}
EFFECTS = {
    NoteAction.BROKEN: (
        "The room's page shows the note, and nodisk room on leaves the PC alone. Nothing is switched now."
    ),
    NoteAction.MENDED: "The note is forgotten. Nothing is switched now.",
}
IGNORE_EFFECTS = {
    IgnoreAction.IGNORE: "It is listed and counted no more, and can still be adopted.",
    IgnoreAction.AGAIN: "It is listed and counted as the others are.",
}
"""What is said before it is confirmed."""


@dataclass(frozen=True, slots=True)
class NoteOrder(MachinesOrder):
    """A note on machines' PCs."""

    action: NoteAction
    note: str
    """What is wrong; '' if they are MENDED."""

    @property
    def held(self) -> frozenset[str]:
        """A machine that is being switched can be noted of."""
        return frozenset(f"the note on {name}" for name in self.machines)

    def command(self, machines: Sequence[str]) -> tuple[str, ...]:
        """``nodisk machines broken``."""
        what = ("--mended",) if self.action is NoteAction.MENDED else ("--note", self.note)
        return ("machines", "broken", *machines, *what)

    @property
    def words(self) -> tuple[str, ...]:
        """With an answer for each machine."""
        return (*self.command(self.machines), "--output", "json")

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether it is noted, for all or for none."""
        if status != 0:
            return tuple(Came(name, Outcome.UNKNOWN, error_of(status, errors)) for name in self.machines)
        same = _unchanged(output)
        detail = self.note if self.action is NoteAction.BROKEN else ""
        return tuple(
            Came(name, Outcome.CONFIRMED, "was not noted as broken" if name in same else detail)
            for name in self.machines
        )


@dataclass(frozen=True, slots=True)
class IgnoreOrder(LabOrder):
    """Whether an unknown machine is listed."""

    action: IgnoreAction
    mac: Mac

    @property
    def targets(self) -> tuple[str, ...]:
        """The machine."""
        return (str(self.mac),)

    @property
    def heading(self) -> str:
        """What it is."""
        return "Unknown machines"

    @property
    def held(self) -> frozenset[str]:
        """One at a time."""
        return frozenset({f"the note on {self.mac}"})

    @property
    def words(self) -> tuple[str, ...]:
        """``nodisk machines ignore``."""
        undo = ("--undo",) if self.action is IgnoreAction.AGAIN else ()
        return ("machines", "ignore", str(self.mac), *undo)

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether it is noted, as the command says it."""
        if status != 0:
            return (Came(str(self.mac), Outcome.UNKNOWN, error_of(status, errors)),)
        said = next((line for line in output.splitlines() if line.strip()), "")
        return (Came(str(self.mac), Outcome.CONFIRMED, said[: orders.LONGEST_DETAIL]),)


def order(
    lab: Lab, action: str, names: Sequence[str], note: str, *, row: str = "", every: bool = False
) -> NoteOrder | None:
    """The order of a request, for machines as in ``orders.meant``; None: it is none, or for nobody.

    Raises ValueError for a text that is no note.
    """
    found = orders.meant(lab, names, row=row, every=every)
    if action not in set(NoteAction) or not found:
        return None
    what = NoteAction(action)
    text = remarks.note(note) if what is NoteAction.BROKEN else ""
    return NoteOrder(what, found, len(found) == len(lab.machines), text)


def _unchanged(output: str) -> frozenset[str]:
    """Of whom the command says that there was nothing to change."""
    try:
        answers: Any = json.loads(output)["machines"]
        return frozenset(one["machine"] for one in answers if not one["changed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return frozenset()
