"""What a machine is to start at its next boot: an order that is ``nodisk next-boot``. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from nodisk.console.orders import Came, error_of
from nodisk.machines.buttons.button import Outcome
from nodisk.spec import menu
from nodisk.spec.model import Lab


class BootAction(StrEnum):
    """For how long an entry of the menu counts."""

    ONCE = "once"
    ALWAYS = "always"
    CLEAR = "clear"


WORDS = {
    BootAction.ONCE: "Choose the next boot, once",
    BootAction.ALWAYS: "Choose the next boots, until cleared",
    BootAction.CLEAR: "Boot by default again",
}
EFFECTS = {
    BootAction.ONCE: "At its next boot it starts what is chosen, later its default again. Nothing is switched now.",
    BootAction.ALWAYS: "It starts what is chosen at every boot, until that is cleared. Nothing is switched now.",
    BootAction.CLEAR: "What was chosen for its next boot is forgotten. Nothing is switched now.",
}
"""What is said before it is confirmed."""


@dataclass(frozen=True, slots=True)
class BootOrder:
    """One machine's next boot."""

    action: BootAction
    machine: str
    entry: str
    """Of the menu; '' to CLEAR."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The machine."""
        return (self.machine,)

    @property
    def heading(self) -> str:
        """What the target is."""
        return "Machines"

    @property
    def held(self) -> frozenset[str]:
        """As for switching it: who switches a machine wants to know what it then starts."""
        return frozenset({self.machine})

    @property
    def class_name(self) -> str:
        """No class is changed."""
        return ""

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs: no more than one would type."""
        how = {
            BootAction.ONCE: (self.entry, "--once"),
            BootAction.ALWAYS: (self.entry,),
            BootAction.CLEAR: ("--clear",),
        }
        return ("next-boot", self.machine, *how[self.action])

    @property
    def line(self) -> str:
        """The command as one pastes it."""
        return shlex.join(("nodisk", *self.words))

    @property
    def sent(self) -> bytes:
        """It reads nothing."""
        return b""

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether it is recorded: nothing of that is seen of the machine until it boots."""
        if status != 0:
            return (Came(self.machine, Outcome.UNKNOWN, error_of(status, errors)),)
        return (Came(self.machine, Outcome.CONFIRMED, self.entry),)


def order(lab: Lab, machine: str, action: str, entry: str) -> BootOrder | None:
    """The order of a request; None: there is no such machine or action, or no entry that starts by itself."""
    if action not in set(BootAction) or machine not in {str(one.name) for one in lab.machines}:
        return None
    what = BootAction(action)
    if what is BootAction.CLEAR:
        return BootOrder(what, machine, "")
    return BootOrder(what, machine, entry) if entry in menu.names(lab) else None
