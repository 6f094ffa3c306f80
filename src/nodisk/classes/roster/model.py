"""What the stages of reading a roster hand to each other: bytes → text → rows → columns → people."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """One row of a table, with the line (or the row of a sheet) where it begins."""

    line: int
    cells: tuple[str, ...]

    @property
    def filled(self) -> tuple[str, ...]:
        """The cells that hold something."""
        return tuple(cell for cell in self.cells if cell)


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user said about a file that can't be understood by itself."""

    columns: tuple[tuple[str, str], ...] = ()
    """(field, heading or number) pairs, see ``headings.FIELDS``."""
    encoding: str | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One row of a roster."""

    name: str
    id: str = ""
    email: str = ""
    line: int = 0

    @property
    def key(self) -> str:
        """What stays the same when the roster is edited: the id, else the e-mail, else the name."""
        if self.id:
            return f"id:{self.id.casefold()}"
        if self.email:
            return f"email:{self.email.casefold()}"
        return f"name:{fold(self.name)}"


@dataclass(frozen=True, slots=True)
class Roster:
    """The people of a file, and how it was understood."""

    people: tuple[Person, ...]
    columns: tuple[tuple[str, str], ...] = ()
    """(field, heading) of each column that is used."""
    unused: tuple[str, ...] = ()
    """The headings of the other columns."""
    notes: tuple[str, ...] = ()
    """Which lines were left out, and why."""

    def explained(self) -> list[str]:
        """How the file was understood, as lines for a person."""
        lines = []
        if self.columns:
            lines.append("columns: " + ", ".join(f"{field} from {heading!r}" for field, heading in self.columns))
        if self.unused:
            lines.append("unused columns: " + ", ".join(map(repr, self.unused)))
        return [*lines, *self.notes]


def fold(text: str) -> str:
    """A name or a heading without case and accents, to compare with others.

    Twice, as Unicode's compatibility caseless match has it (section 3.13, D146): what a letter decomposes into may have
    a case of its own, as 𝐀 has.
    """
    decomposed = unicodedata.normalize("NFD", text)
    for _ in range(2):
        decomposed = unicodedata.normalize("NFKD", decomposed.casefold().replace("ł", "l"))
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
