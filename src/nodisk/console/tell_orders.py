"""A message to a class: an order that is ``nodisk class tell``. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from nodisk.classes.record import Class
from nodisk.console.class_orders import StudentsOrder
from nodisk.records import messages


class TellAction(StrEnum):
    """What is done."""

    TELL = "tell"
    WITHDRAW = "withdraw"


WORDS = {TellAction.TELL: "Tell the class", TellAction.WITHDRAW: "Withdraw the message"}
EFFECTS = {
    TellAction.TELL: "Each student's page shows it for a day, instead of what it showed before.",
    TellAction.WITHDRAW: "No student's page shows it any more.",
}
"""What is said before it is confirmed."""


@dataclass(frozen=True, slots=True)
class TellOrder(StudentsOrder):
    """What a class is told, or that it is told nothing any more."""

    action: TellAction
    text: str
    who: str

    @property
    def held(self) -> frozenset[str]:
        """A class can be told something while it is being changed."""
        return frozenset({f"the message to class {self.class_name}"})

    @property
    def line(self) -> str:
        """The command as one pastes it."""
        if self.action is TellAction.WITHDRAW:
            return shlex.join(("nodisk", "class", "tell", self.class_name, "--withdraw"))
        return shlex.join(("nodisk", "class", "tell", self.class_name, f"--by={self.who}", "--", self.text))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs."""
        if self.action is TellAction.WITHDRAW:
            return ("class", "tell", self.class_name, "--withdraw")
        return ("class", "tell", self.class_name, "-", f"--by={self.who}")

    @property
    def sent(self) -> bytes:
        """The message, whatever it begins with."""
        return self.text.encode("utf-8", "replace")


def order(found: Class, text: str, who: str, *, withdraw: bool = False) -> TellOrder:
    """The order of a request; raises ValueError for a text that is no message."""
    labels = tuple(student.label for student in found.students)
    if withdraw:
        return TellOrder(TellAction.WITHDRAW, found.name, labels, "", "")
    return TellOrder(TellAction.TELL, found.name, labels, messages.message(text), messages.name(who))
