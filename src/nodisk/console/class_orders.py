"""What the console may have done to a class: each order is a ``nodisk class`` command, and how it ended. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodisk.classes.record import Class
from nodisk.console.orders import Came, error_of
from nodisk.machines.buttons.button import Outcome

MOST_DAYS = 1000
"""As ``nodisk class extend --days`` takes them."""
LONGEST_DETAIL = 1000
"""Characters of what the command warns of."""


class ClassAction(StrEnum):
    """What can be done to a class; each is the name of its command."""

    SUSPEND = "suspend"
    RESUME = "resume"
    ROTATE = "rotate"
    RESET = "reset"
    EXTEND = "extend"


OF_STUDENTS = (ClassAction.SUSPEND, ClassAction.RESUME, ClassAction.ROTATE, ClassAction.RESET)
"""Actions for some students; the other is for the whole class."""
WORDS = {
    ClassAction.SUSPEND: "Suspend access",
    ClassAction.RESUME: "Restore access",
    ClassAction.ROTATE: "Replace credentials",
    ClassAction.RESET: "Empty namespaces",
    ClassAction.EXTEND: "Move the end",
}
EFFECTS = {
    ClassAction.SUSPEND: "They can't sign in and use their keys until access is restored. What runs goes on.",
    ClassAction.RESUME: "They get in with the same keys as before.",
    ClassAction.ROTATE: "Their keys and sessions end at once. New keys are in the handouts.",
    ClassAction.RESET: "Everything that they have in the cluster is deleted. Keys and storage stay.",
    ClassAction.EXTEND: "The class ends on another day, which may be an earlier one. New keys are in the handouts.",
}
"""What is said before it is confirmed."""


@dataclass(frozen=True, slots=True)
class StudentsOrder:
    """Something for students of a class."""

    action: StrEnum
    class_name: str
    targets: tuple[str, ...]
    """The students' labels; never none."""

    @property
    def heading(self) -> str:
        """What the targets are."""
        return "Students"

    @property
    def held(self) -> frozenset[str]:
        """A class is changed by one order at a time, as by one command."""
        return frozenset({f"class {self.class_name}"})

    @property
    def sent(self) -> bytes:
        """It reads nothing."""
        return b""

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether the command did all of it, with what it warned of; else why not, as far as it says."""
        return came_of(self.class_name, status, errors)


@dataclass(frozen=True, slots=True)
class ClassOrder(StudentsOrder):
    """A change of students' access, namespaces or days."""

    action: ClassAction
    everyone: bool
    """Whether these are all students of the class."""
    days: int = 0
    """From now to the class's end, for EXTEND."""

    @property
    def line(self) -> str:
        """The command as one pastes it; it asks once more where something is deleted."""
        # A command that deletes wants each name; the others mean all if none is given.
        named = not self.everyone or self.action is ClassAction.RESET
        return shlex.join(("nodisk", *self._command(self.targets if named else ())))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs: by name, so that a student who came meanwhile is not meant."""
        found = self._command(self.targets)
        return (*found, "--yes") if self.action is ClassAction.RESET else found

    def _command(self, students: Sequence[str]) -> tuple[str, ...]:
        if self.action is ClassAction.EXTEND:
            return ("class", "extend", self.class_name, "--days", str(self.days))
        return ("class", str(self.action), self.class_name, *students)


def came_of(class_name: str, status: int, errors: str) -> tuple[Came, ...]:
    """How a command of a class ended: all is done, with what it warned of; else why not, as far as it says."""
    if status != 0:
        return (Came(class_name, Outcome.UNKNOWN, error_of(status, errors)),)
    warned = "; ".join(line.removeprefix("warning: ") for line in errors.splitlines() if line.startswith("warning: "))
    return (Came(class_name, Outcome.CONFIRMED, warned[:LONGEST_DETAIL]),)


def order(
    found: Class, action: str, labels: Sequence[str], *, every: bool = False, days: str = ""
) -> ClassOrder | None:
    """The order of a request: all students, else those named; None: it is no order, or for nobody.

    Labels that the class doesn't have count for nothing. EXTEND is for all, and needs days.
    """
    if action not in set(ClassAction):
        return None
    what, asked, number = ClassAction(action), set(labels), 0
    if what is ClassAction.EXTEND:
        number = int(days) if days.isascii() and days.isdecimal() and len(days) <= len(str(MOST_DAYS)) else 0
        if not 1 <= number <= MOST_DAYS:
            return None
        every = True
    meant = tuple(student.label for student in found.students if every or student.label in asked)
    return ClassOrder(what, found.name, meant, len(meant) == len(found.students), number) if meant else None
