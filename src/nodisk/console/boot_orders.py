"""What machines are to start at their next boot: an order that is ``nodisk next-boot``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodisk.console import orders
from nodisk.console.orders import Came, MachinesOrder, error_of
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
"""What is said of each machine before it is confirmed."""


@dataclass(frozen=True, slots=True)
class BootOrder(MachinesOrder):
    """Machines' next boot. It holds them as switching does: who switches one wants to know what it then starts."""

    action: BootAction
    entry: str
    """Of the menu; '' to CLEAR."""

    def command(self, machines: Sequence[str]) -> tuple[str, ...]:
        """``nodisk next-boot``."""
        how = {
            BootAction.ONCE: (self.entry, "--once"),
            BootAction.ALWAYS: (self.entry,),
            BootAction.CLEAR: ("--clear",),
        }
        return ("next-boot", *machines, *how[self.action])

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether it is recorded, for all or for none: nothing of that is seen of a machine until it boots."""
        done = status == 0
        outcome, detail = (Outcome.CONFIRMED, self.entry) if done else (Outcome.UNKNOWN, error_of(status, errors))
        return tuple(Came(name, outcome, detail) for name in self.machines)


def order(
    lab: Lab, action: str, names: Sequence[str], entry: str, *, row: str = "", every: bool = False
) -> BootOrder | None:
    """The order of a request, for machines as in ``orders.meant``.

    None: it is for nobody, or there is no such action, or no entry that starts by itself.
    """
    found = orders.meant(lab, names, row=row, every=every)
    if action not in set(BootAction) or not found:
        return None
    what, everything = BootAction(action), len(found) == len(lab.machines)
    if what is BootAction.CLEAR:
        return BootOrder(what, found, everything, "")
    return BootOrder(what, found, everything, entry) if entry in menu.names(lab) else None
