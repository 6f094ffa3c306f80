"""Codes for a class's door, by the console: orders that are ``nodisk class codes --print``. Pure.

No code is in an order, in what comes of it, or in what the command says: the command writes them to a page of cards.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nodisk.classes.codes import Waiting
from nodisk.classes.record import Class
from nodisk.console.class_orders import LONGEST_DETAIL, StudentsOrder, came_of
from nodisk.console.orders import Came
from nodisk.machines.buttons.button import Outcome


class CodeAction(StrEnum):
    """What can be done."""

    CODES = "codes"
    RENEW = "renew_codes"


WORDS = {
    CodeAction.CODES: "Make codes to sign in with",
    CodeAction.RENEW: "Replace codes and passphrases",
}
EFFECTS = {
    CodeAction.CODES: (
        "Each gets a code for the first sign-in. The class's page then has cards with them, to be taken once."
    ),
    CodeAction.RENEW: (
        "Their codes, passphrases and sessions end at once. The class's page then has cards with new codes, to be taken"
        " once."
    ),
}
"""What is said before it is confirmed."""


@dataclass(frozen=True, slots=True)
class CodeOrder(StudentsOrder):
    """Codes for students of a class: the targets get one each."""

    action: CodeAction
    everyone: bool
    """Whether these are all who would get one if nobody was named."""

    @property
    def line(self) -> str:
        """The command as one pastes it; it asks once more where passphrases end."""
        return shlex.join(("nodisk", *self._command(() if self.everyone else self.targets), "--print"))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs: by name, so that a student who came meanwhile gets none."""
        agreed = ("--yes",) if self.action is CodeAction.RENEW else ()
        return (*self._command(self.targets), *agreed, "--print", "--output", "json")

    def _command(self, students: Sequence[str]) -> tuple[str, ...]:
        renew = ("--renew",) if self.action is CodeAction.RENEW else ()
        return ("class", "codes", self.class_name, *students, *renew)

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """How many codes were made, with what the command warned of; else why not."""
        (found,) = came_of(self.class_name, status, errors)
        if found.outcome is not Outcome.CONFIRMED:
            return (found,)
        made = _made(output)
        said = "nobody needed a new code" if not made else f"new codes: {made}"
        return (Came(found.name, found.outcome, "; ".join(filter(None, (said, found.detail)))[:LONGEST_DETAIL]),)


def order(
    found: Class, waiting: Sequence[Waiting], action: str, labels: Sequence[str], *, every: bool = False
) -> CodeOrder | None:
    """The order of a request: for all students, else those named; None: it is no order, or for nobody.

    ``waiting``: where each student of the class is. Who has a code or a passphrase gets a new one by RENEW alone.
    """
    if action not in set(CodeAction) or not found.door or found.out is None:
        return None
    what, asked = CodeAction(action), set(labels)
    due = [one.student.label for one in waiting if what is CodeAction.RENEW or one.needs_code]
    meant = tuple(label for label in due if every or label in asked)
    return CodeOrder(what, found.name, meant, len(meant) == len(due)) if meant else None


def _made(output: str) -> int:
    """How many new codes the command's JSON tells of."""
    try:
        students: Any = json.loads(output)["students"]
        return sum(one["state"] == "new code" for one in students)
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
