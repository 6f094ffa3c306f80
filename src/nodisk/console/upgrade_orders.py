"""An upgrade by the console: orders that are ``nodisk upgrade`` and ``nodisk upgrade --back``. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from nodisk.upgrade.progress import Progress


class UpgradeAction(StrEnum):
    """What can be done."""

    UPGRADE = "upgrade"
    BACK = "upgrade_back"


WORDS = {
    UpgradeAction.UPGRADE: "Boot machines into the current build",
    UpgradeAction.BACK: "Return machines to the previous build",
}
EFFECTS = {
    UpgradeAction.UPGRADE: (
        "A few machines at a time are emptied and booted, control planes first, and the cluster is tested after each"
        " step. It begins only with a backup that was proved in the last 24 hours, and stops at the first failure."
    ),
    UpgradeAction.BACK: "Upgraded machines boot the build that they had before, step by step, the last ones first.",
}
"""What is said before it is confirmed."""
COMMANDS = {UpgradeAction.UPGRADE: ("upgrade",), UpgradeAction.BACK: ("upgrade", "--back")}


@dataclass(frozen=True, slots=True)
class UpgradeOrder:
    """Machines that are to boot another build."""

    action: UpgradeAction
    targets: tuple[str, ...]
    """Their names; never none."""

    @property
    def heading(self) -> str:
        """What they are."""
        return "Machines"

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are run."""
        return COMMANDS[self.action]

    @property
    def line(self) -> str:
        """The command as one pastes it."""
        return shlex.join(("nodisk", *self.words))


def actions(found: Progress) -> tuple[UpgradeAction, ...]:
    """What can be asked for now: nothing while a process is at it."""
    if found.runs:
        return ()
    on = (UpgradeAction.UPGRADE,) if found.left and not found.back else ()
    return (*on, *((UpgradeAction.BACK,) if found.went or (found.back and found.left) else ()))


def order(found: Progress, action: str) -> UpgradeOrder | None:
    """The order of a request; None: it is none, or nothing that can be asked for now."""
    if action not in actions(found):
        return None
    on = action == UpgradeAction.UPGRADE or found.back
    targets = tuple(name for step in found.left for name in step) if on else found.went
    return UpgradeOrder(UpgradeAction(action), targets)
