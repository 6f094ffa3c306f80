"""Rows → a table: which row is the heading, what each column holds, which rows are below it.

A first row of unknown words above people is a heading that isn't known, and is refused: taken for a person it would
get an account.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nodisk.classes.roster import headings
from nodisk.classes.roster.model import Hints, Row
from nodisk.errors import SpecError

_SEARCHED = 40
"""A heading stands in one of the first rows."""
_KNOWN = "id, name (or first name and last name), e-mail; nr albumu, imię, nazwisko, e-mail"
_SAY = f"name the columns in the first line ({_KNOWN}), or specify one: --column name='ITS HEADING'"
_RULE = re.compile(r"[-:=_+| ]+")


@dataclass(frozen=True, slots=True)
class Table:
    """A heading and what is below it. A field is None in a column that isn't used."""

    fields: tuple[str | None, ...]
    heading: tuple[str, ...]
    rows: tuple[Row, ...]
    line: int
    """Of the heading; 0 where there is none."""
    notes: tuple[str, ...] = ()


def table(readings: Sequence[Sequence[Row]], file: str, hints: Hints) -> Table:
    """The table of a file: of its readings (by each separator, or each table of a page) that with the best heading."""
    if not any(readings):
        raise SpecError(f"{file}: the roster is empty")
    best: tuple[int, int] = (0, 0)
    found: tuple[Sequence[Row], int] | None = None
    for rows in readings:
        for index, row in enumerate(rows[:_SEARCHED]):
            points = _points(row, index, hints)
            if points > best:
                best, found = points, (rows, index)
    if found is not None:
        return _below(*found, file, hints)
    rows = next(rows for rows in readings if rows)
    return _without_heading(rows, file, hints)


def _by_hand(row: Row, hints: Hints) -> dict[int, str]:
    """The columns that the user named, by heading; a number counts columns."""
    found: dict[int, str] = {}
    for field, wanted in hints.columns:
        for index, cell in enumerate(row.cells):
            if _number(wanted) == index + 1 or (cell and headings.normal(cell) == headings.normal(wanted)):
                found[index] = field
    return found


def _number(wanted: str) -> int | None:
    return int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 4 else None


def _fields(row: Row, hints: Hints) -> list[str | None]:
    texts = Hints(tuple(pair for pair in hints.columns if _number(pair[1]) is None))
    fields = headings.fields_of(row.cells)
    for index, field in _by_hand(row, texts).items():
        fields[index] = field
    return fields


def _points(row: Row, index: int, hints: Hints) -> tuple[int, int]:
    """How much a row is like a heading: how many kinds of columns it names that tell who a person is, and of others."""
    if any("@" in cell for cell in row.cells):
        return (0, 0)
    fields = _fields(row, hints)
    who = {field for field in fields if field in headings.IDENTITY}
    known = sum(field is not None for field in fields)
    enough = len(who) > 1 or (who and known * 2 >= len(row.filled)) or (len(row.filled) > 2 and index == 0 and who)
    if not enough and not (index == 0 and known and known == len(row.filled)):
        return (0, 0)
    return (len(who) + 1, known)


def _below(rows: Sequence[Row], index: int, file: str, hints: Hints) -> Table:
    row = rows[index]
    by_hand = _by_hand(row, hints)
    fields = [by_hand.get(index, field) for index, field in enumerate(_fields(row, hints))]
    if not any(field in headings.IDENTITY for field in fields):
        raise SpecError(f"{file}:{row.line}: no column for a name, id or e-mail in the heading", hint=_SAY)
    for field, wanted in hints.columns:
        if field not in by_hand.values():
            raise SpecError(
                f"{file}:{row.line}: no column named {wanted!r} (--column {field}={wanted}), "
                f"but {', '.join(map(repr, row.filled))}"
            )
    above = list(rows[:index])
    _check_above(above, row, file, hints)
    fields = _meant(fields, by_hand)
    body, again = [], []
    for below in rows[index + 1 :]:
        if _RULE.fullmatch("".join(below.cells)):
            continue
        if below.cells == row.cells:
            again.append(below.line)
        elif _another_heading(below, fields):
            raise SpecError(
                f"{file}:{below.line}: another table starts here: {' '.join(below.filled)[:60]!r}",
                hint="keep only one table",
            )
        else:
            body.append(below)
    _check_split(fields, row, body, file)
    notes = []
    if above:
        notes.append(f"ignored above the heading: {', '.join(_shown(each) for each in above[:5])}")
    if again:
        notes.append(f"repeated heading in line {', '.join(map(str, again))}")
    return Table(tuple(fields), row.cells, tuple(body), row.line, tuple(notes))


def _another_heading(row: Row, fields: Sequence[str | None]) -> bool:
    """Whether a row below a heading is one itself: where a person would be, it has words of headings alone."""
    who = [cell for cell, field in zip(row.cells, fields, strict=False) if field in headings.IDENTITY and cell]
    known = [cell for cell in row.filled if headings.field_of(cell) is not None]
    return bool(who) and len(known) > 1 and all(headings.field_of(cell) is not None for cell in who)


def _shown(row: Row) -> str:
    text = " ".join(row.filled)
    return f"line {row.line} {text[:50] + '…' if len(text) > 50 else text!r}"


def _check_above(above: Sequence[Row], heading: Row, file: str, hints: Hints) -> None:
    """Titles and remarks stand above a heading; people don't, and a person there would be lost."""
    other = next((n for n, row in enumerate(above) if _points(row, n, hints) > (2, 0)), len(above))
    if above[other + 1 :]:
        raise SpecError(
            f"{file}:{heading.line}: another table starts here: {' '.join(heading.filled)[:60]!r}",
            hint="keep only one table",
        )
    for row in above:
        filled = row.filled
        comment = filled[0].startswith("#") or any(headings.sounds_like_heading(cell) for cell in filled)
        words = " ".join(filled)
        person = (
            len(filled) > 1 and len(filled) >= len(heading.filled) and not comment and not filled[0].endswith(":")
        ) or (len(heading.filled) <= 2 and not comment and _like_a_name(words))
        if person:
            raise SpecError(
                f"{file}:{row.line}: {words[:60]!r} is above the heading of line {heading.line}: is it a title or a "
                "person?",
                hint="if it is a title, remove the line; if it is a person, move it below the heading",
            )


def _like_a_name(text: str) -> bool:
    words = text.split()
    return len(words) in (2, 3) and all(word[0].isupper() and not any(c.isdigit() for c in word) for word in words)


def _meant(fields: Sequence[str | None], by_hand: dict[int, str]) -> list[str | None]:
    """Each field once, and ``name`` as what it is beside the others."""
    seen: set[str] = set()
    found: list[str | None] = []
    for index, field in enumerate(fields):
        taken = field in seen or (field in by_hand.values() and index not in by_hand)
        if not field or field == "ignore" or taken:
            found.append("" if field == "" else None)
            continue
        seen.add(field)
        found.append(field)
    if "name" in seen:
        other = {(True, False): "first", (False, True): "last"}.get(("last" in seen, "first" in seen), "full")
        found = [(other if field == "name" and "name" not in by_hand.values() else field) for field in found]
        found = ["full" if field == "name" else field for field in found]
    return found


def _check_split(fields: Sequence[str | None], row: Row, body: Sequence[Row], file: str) -> None:
    """A heading over two columns: the second has no heading, and half of each name."""
    for index, field in enumerate(fields[:-1]):
        if field not in ("full", "surname-first", "last", "first") or row.cells[index + 1]:
            continue
        for below in body:
            beside = below.cells[index + 1] if len(below.cells) > index + 1 else ""
            if any(letter.isalpha() for letter in beside):
                raise SpecError(
                    f"{file}:{below.line}: {beside[:40]!r} next to {row.cells[index]!r} has no heading",
                    hint=_SAY,
                )


def _without_heading(rows: Sequence[Row], file: str, hints: Hints) -> Table:
    """Read a plain list of names, ids or e-mail addresses, one per line, or columns named by number."""
    first = rows[0]
    width = max(len(row.cells) for row in rows)
    if hints.columns:
        fields: list[str | None] = [None] * width
        for field, wanted in hints.columns:
            number = _number(wanted)
            if number is None or not 1 <= number <= width:
                raise SpecError(
                    f"{file}:{first.line}: no column named {wanted!r}; the file has {width} columns",
                    hint="in a file without headings, give the column's number: --column name=2",
                )
            fields[number - 1] = {"ignore": None, "name": "full"}.get(field, field)
        return Table(tuple(fields), tuple(f"column {n}" for n in range(1, width + 1)), tuple(rows), 0)
    if width > 1:
        raise SpecError(
            f"{file}:{first.line}: the heading {', '.join(first.cells)!r} has no known column name",
            hint=f"{_SAY}; in a file without headings, use the column's number: --column name=2",
        )
    comments = [row for row in rows if row.cells[0].startswith("#")]
    people = [row for row in rows if row not in comments]
    if not people:
        raise SpecError(f"{file}: the roster has no students")
    _check_first(people, file)
    field = _kind(people, file)
    notes = [f"ignored remark in line {row.line}: {row.cells[0][:50]!r}" for row in comments]
    return Table((field,), (f"the only column, {people[0].cells[0]!r} first",), tuple(people), 0, tuple(notes))


def _check_first(people: Sequence[Row], file: str) -> None:
    """Refuse a first line that is unlike the others: a heading that isn't known would become a student."""
    first, others = people[0].cells[0], [row.cells[0] for row in people[1:]]
    names = [other for other in others if "@" not in other]
    odd = (
        headings.sounds_like_heading(first)
        or any(mark in first for mark in ":;=()[]/")
        or (len(names) > 0 and len(first.split()) == 1 and all(len(name.split()) > 1 for name in names))
        or (len(names) > 0 and len(first.split()) > 1 and _lower(first) and not any(map(_lower, names)))
        or (len(others) > 0 and "@" not in first and all("@" in other for other in others))
        or (len(others) > 0 and not _digits(first) and all(map(_digits, others)))
    )
    if odd:
        raise SpecError(
            f"{file}:{people[0].line}: {first[:60]!r} is not a known heading, and differs from the lines below: "
            "is it a heading, a title, or a person?",
            hint="add the heading 'name' as the first line, or replace the heading or title with it",
        )


def _lower(text: str) -> bool:
    """Whether a word after the first begins with a small letter, as in titles."""
    return any(word[0].islower() and len(word) > 3 for word in text.split()[1:])


def _digits(text: str) -> bool:
    return text.isascii() and text.isalnum() and any(letter.isdigit() for letter in text)


def _kind(people: Sequence[Row], file: str) -> str:
    cells = [row.cells[0] for row in people]
    for field, fits in (("email", lambda text: "@" in text), ("id", str.isdigit)):
        others = [row for row in people if not fits(row.cells[0])]
        if not others:
            return field
        if len(others) < len(cells):
            raise SpecError(
                f"{file}:{others[0].line}: {others[0].cells[0][:60]!r} differs from the other lines "
                f"({'e-mail addresses' if field == 'email' else 'numbers'})",
                hint="put names, ids and e-mail addresses in separate columns with headings",
            )
    return "full"
