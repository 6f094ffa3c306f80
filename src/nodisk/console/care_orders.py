"""Backups by the console: orders that are ``nodisk backup create`` and ``nodisk backup verify``. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodisk.console.orders import Came, LabOrder, error_of
from nodisk.machines.buttons.button import Outcome
from nodisk.spec.model import Lab


class CareAction(StrEnum):
    """What can be done."""

    BACKUP = "backup"
    PROVE = "prove"


WORDS = {CareAction.BACKUP: "Make a backup", CareAction.PROVE: "Prove the newest backup"}
EFFECTS = {
    CareAction.BACKUP: "The server keeps running meanwhile. Students' writes to storage wait while it is copied.",
    CareAction.PROVE: "The newest backup is restored beside the lab and compared; the lab itself is not touched.",
}
"""What is said before it is confirmed."""
COMMANDS = {CareAction.BACKUP: ("backup", "create"), CareAction.PROVE: ("backup", "verify")}
TOLD = ("warning: ", "Its password is ")
"""How lines of the standard error begin that are about more than progress."""
LONGEST_DETAIL = 1000
"""Characters of what the command says."""


@dataclass(frozen=True, slots=True)
class CareOrder(LabOrder):
    """One thing that is done to the lab as a whole."""

    action: CareAction
    lab: str

    @property
    def targets(self) -> tuple[str, ...]:
        """The lab."""
        return (self.lab,)

    @property
    def heading(self) -> str:
        """What the target is."""
        return "Lab"

    @property
    def held(self) -> frozenset[str]:
        """One at a time: both read the place where backups are."""
        return frozenset({"the backups"})

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs."""
        return COMMANDS[self.action]

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """What the command says that it did; else why not."""
        if status != 0:
            return (Came(self.lab, Outcome.UNKNOWN, error_of(status, errors)),)
        done = [line for line in output.splitlines() if line.strip()][:1]
        told = [line for line in errors.splitlines() if line.startswith(TOLD)]
        return (Came(self.lab, Outcome.CONFIRMED, " ".join([*done, *told])[:LONGEST_DETAIL]),)


def order(lab: Lab, action: str) -> CareOrder | None:
    """The order of a request; None: it is none, or lab.yaml names no place for backups."""
    if lab.backup is None or action not in set(CareAction):
        return None
    return CareOrder(CareAction(action), str(lab.name))
