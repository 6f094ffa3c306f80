"""Rosters: CSV as spreadsheets write it → people. All problems of a file are reported at once, each with its line."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk.errors import SpecError

MAX_BYTES = 5 * 1024 * 1024

# Headings as teachers and study offices write them, after ``_heading``; one column may give several fields. An ordinal
# number ("") is nobody's id: it moves when a line is inserted. ``number`` is the school's own, and wins over ``id``.
_HEADINGS = {
    "lp": "", "nr": "", "no": "", "number": "", "numer": "", "#": "",
    "id": "id", "id number": "id", "numer id": "id",
    "student id": "number", "student number": "number", "student no": "number", "index": "number", "indeks": "number",
    "nr indeksu": "number", "numer indeksu": "number", "album": "number", "nr albumu": "number",
    "numer albumu": "number",
    "name": "name", "full name": "name", "student": "name", "imie i nazwisko": "name", "nazwisko i imie": "name",
    "first name": "first", "given name": "first", "imie": "first", "imiona": "first",
    "last name": "last", "surname": "last", "family name": "last", "nazwisko": "last",
    "email": "email", "e-mail": "email", "mail": "email", "adres e-mail": "email", "adres email": "email",
}  # fmt: skip


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


def read(path: Path) -> list[Person]:
    """The people of a CSV file; raises SpecError with every problem and its line."""
    if path.stat().st_size > MAX_BYTES:
        raise SpecError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB: is that a roster?")
    return parse(path.read_bytes(), str(path))


def from_names(words: str) -> list[Person]:
    """``a,b c`` from the command line → people; raises SpecError for duplicates."""
    names = [word.strip() for word in words.split(",") if word.strip()]
    return _checked([Person(name, line=number) for number, name in enumerate(names, 1)], "--students", [])


def parse(data: bytes, file: str) -> list[Person]:
    """As ``read``, from the file's bytes."""
    rows = _rows(_decode(data, file), file)
    if not rows:
        raise SpecError(f"{file}: the roster is empty")
    number, header = rows[0]
    fields = [_HEADINGS.get(_heading(cell)) for cell in header]
    if any(field is not None for field in fields):
        rows = rows[1:]
        if not any(fields):
            raise SpecError(f"{file}:{number}: no column for a name, id or e-mail in the heading")
    elif len(header) == 1:
        fields = ["name"]
    else:
        raise SpecError(
            f"{file}:{number}: the heading {', '.join(header)!r} names no column that is known",
            hint="name the columns id, name, e-mail (or: nr albumu, imię, nazwisko, e-mail), in any order",
        )
    problems: list[str] = []
    people: list[Person] = []
    for line, cells in rows:
        if len(cells) > len(fields) and any(cells[len(fields) :]):
            problems.append(f"{file}:{line}: {len(cells)} cells, but the heading has {len(fields)}")
            continue
        person = _person(fields, cells, line)
        if person is None:
            problems.append(f"{file}:{line}: neither a name nor an id nor an e-mail")
        else:
            people.append(person)
    return _checked(people, file, problems)


def _person(fields: Sequence[str | None], cells: Sequence[str], line: int) -> Person | None:
    found: dict[str, str] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field and cell:
            found.setdefault(field, cell)
    name = found.get("name") or " ".join(found[part] for part in ("first", "last") if part in found)
    number = found.get("number") or found.get("id", "")
    name = name or found.get("email", "").partition("@")[0] or number
    return Person(name, number, found.get("email", ""), line) if name else None


def _checked(people: Iterable[Person], file: str, problems: list[str]) -> list[Person]:
    seen: dict[str, int] = {}
    good: list[Person] = []
    for person in people:
        clean = all(character.isprintable() for character in person.name + person.id + person.email)
        if not clean or len(person.name) > 200:
            problems.append(
                f"{file}:{person.line}: {person.name[:40]!r} is not a name (control characters, or too long)"
            )
        elif person.key in seen:
            what = person.key.partition(":")[0]
            problems.append(
                f"{file}:{person.line}: {person.name} has the same {what} as line {seen[person.key]}; "
                "remove the line, or tell the two apart by an id"
            )
        else:
            seen[person.key] = person.line
            good.append(person)
    if problems:
        raise SpecError("\n".join(problems))
    if not good:
        raise SpecError(f"{file}: nobody is in the roster")
    return good


def _decode(data: bytes, file: str) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1250"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise SpecError(f"{file} is neither UTF-8 nor CP1250 text", hint="save it from the spreadsheet as CSV (UTF-8)")


def _rows(text: str, file: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every row that isn't blank."""
    lines = text.splitlines(keepends=True)
    delimiter, skip = None, 0
    # As spreadsheets say it; the separator may be a tab, so not every blank is to be stripped.
    if said := re.fullmatch(r"sep=([^\s\w\"]|\t)\s*", lines[0] if lines else "", re.IGNORECASE):
        delimiter, skip = said[1], 1
    first = next((line for line in lines[skip:] if line.strip()), "")
    delimiter = delimiter or max(";\t,", key=first.count)
    reader = csv.reader(io.StringIO("".join(lines[skip:])), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    start = skip + 1
    try:
        for cells in reader:
            stripped = [" ".join(unicodedata.normalize("NFC", cell).split()) for cell in cells]
            if any(stripped):
                rows.append((start, stripped))
            start = skip + reader.line_num + 1
    except csv.Error as error:
        raise SpecError(f"{file}:{start}: not CSV: {error}") from error
    return rows


def _heading(cell: str) -> str:
    return fold(cell).replace("_", " ").replace(".", "").strip()


def fold(text: str) -> str:
    """A name or a heading without case and accents, to compare with others."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l"))
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
