"""Making a class from a form: what was typed, what is wrong with it and where, and the command that it is. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from nodisk.classes import homes, names, plan, sizes
from nodisk.classes import roster as rosters
from nodisk.console.class_orders import came_of
from nodisk.console.multipart import Part
from nodisk.console.orders import Came
from nodisk.errors import UsageError

LONGEST_ROSTER = 40_000
"""Characters: some hundred students with ids and addresses."""
MOST_TEACHERS = 10
LONGEST_TEACHER = 100
LONGEST_FILE = 60
"""Characters of a file's name that are shown."""
STDIN = "-"
"""The roster as the command reads it: from its standard input."""


class MakingAction(StrEnum):
    """What is done."""

    CREATE = "create"


WORDS = {MakingAction.CREATE: "Make a class"}
NAME = (
    f"Use up to {names.LONGEST_CLASS} lower-case letters, digits and hyphens, with a letter first, "
    "and no name that the system has."
)
TAKEN = "There is a class of that name already."
NOBODY = "Write the students' names, one per line, or paste a table."
LONG = "That is too long: make the class with its first students, and add the others by command."
SIZE = "Choose one of the sizes."
DAYS = f"Write a number of days from 1 to {plan.LONGEST_DAYS}."
STORAGE = "Write an amount of at least 16Mi, such as 2Gi, or nothing."
TEACHERS = "Write names, separated by commas."
WRONG = (NAME, TAKEN, NOBODY, LONG, SIZE, DAYS, STORAGE, TEACHERS)
"""What can be wrong, in words for the page."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The form, as it was typed."""

    name: str = ""
    roster: str = ""
    size: str = "small"
    days: str = str(plan.DEFAULT_DAYS)
    storage: str = ""
    teachers: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Typed:
        """From a form's fields; one that is missing is empty."""
        return cls(*(form.get(key, "").strip() for key in ("name", "roster", "size", "days", "storage", "teachers")))


@dataclass(frozen=True, slots=True)
class MakeOrder:
    """A class to be made."""

    class_name: str
    roster: str
    size: str
    days: int
    storage: str
    teachers: tuple[str, ...]
    out: Path
    """Where its handouts go."""
    trial: bool = False
    """Whether it is only to be shown what would be made."""

    @property
    def action(self) -> MakingAction:
        """What is done."""
        return MakingAction.CREATE

    @property
    def targets(self) -> tuple[str, ...]:
        """The class."""
        return (self.class_name,)

    @property
    def heading(self) -> str:
        """What the target is."""
        return "Classes"

    @property
    def held(self) -> frozenset[str]:
        """As for every other change of the class."""
        return frozenset({f"class {self.class_name}"})

    @property
    def line(self) -> str:
        """The command as one pastes it, with the roster in a file."""
        return shlex.join(("nodisk", *self._command("roster.csv")))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the server runs."""
        return (*self._command(STDIN), *(("--dry-run",) if self.trial else ()), "--output", "json")

    @property
    def sent(self) -> bytes:
        """The roster: people's names are no words of a process, which everybody on the host sees."""
        return self.roster.encode("utf-8", "replace")

    def tried(self) -> MakeOrder:
        """The same as a trial."""
        return replace(self, trial=True)

    def _command(self, roster: str) -> tuple[str, ...]:
        storage = ("--storage", self.storage) if self.storage else ()
        teachers = (word for name in self.teachers for word in ("--teacher", name))
        what = ("--new", "--roster", roster, "--size", self.size, "--days", str(self.days))
        return ("class", "create", self.class_name, *what, *storage, *teachers, "--out", str(self.out))

    def came(self, status: int, output: str, errors: str) -> tuple[Came, ...]:
        """Whether it is made."""
        return came_of(self.class_name, status, errors)


def order(typed: Typed, *, teacher: str | None, out: Path, taken: bool) -> MakeOrder | dict[str, str]:
    """The order of a form, or field → what is wrong with it.

    ``teacher``: whose class it becomes, whatever was typed; None: an administrator says whose. ``out``: the folder of
    all handouts. ``taken``: whether there is a class of that name.
    """
    wrong: dict[str, str] = {}
    if not _fine_name(typed.name):
        wrong["name"] = NAME
    elif taken:
        wrong["name"] = TAKEN
    if not typed.roster or "\0" in typed.roster:
        wrong["roster"] = NOBODY
    elif len(typed.roster) > LONGEST_ROSTER:
        wrong["roster"] = LONG
    if typed.size not in sizes.named():
        wrong["size"] = SIZE
    days = _number(typed.days)
    if not 1 <= days <= plan.LONGEST_DAYS:
        wrong["days"] = DAYS
    if typed.storage and not _fine_storage(typed.storage):
        wrong["storage"] = STORAGE
    staff = (teacher,) if teacher is not None else _names(typed.teachers)
    if staff is None:
        wrong["teachers"] = TEACHERS
    if wrong or staff is None:
        return wrong
    # Windows' and browsers' line ends are the roster's own business.
    return MakeOrder(typed.name, typed.roster + "\n", typed.size, days, typed.storage, staff, out / typed.name)


def of_file(file: Part) -> str:
    """The roster in a file, as text; raises SpecError for one that is none. What it is called counts for nothing."""
    base = (file.file or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in base if char.isprintable())[:LONGEST_FILE].strip()
    return rosters.text(file.content, shown or "the file").strip()


def _fine_name(text: str) -> bool:
    try:
        return plan.check_name(text) == text
    except UsageError:
        return False


def _fine_storage(text: str) -> bool:
    try:
        return len(text) <= 20 and homes.size_of(text) > 0
    except UsageError:
        return False


def _number(text: str) -> int:
    """A plain number of few digits; 0: it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0


def _names(text: str) -> tuple[str, ...] | None:
    """``Anna Nowak, Jan Lis``; None: it can't be that."""
    found = tuple(name for part in text.split(",") if (name := part.strip()))
    fine = all(len(name) <= LONGEST_TEACHER and name.isprintable() for name in found)
    return found if fine and len(found) <= MOST_TEACHERS else None
