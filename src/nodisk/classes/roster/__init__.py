"""Rosters: a file as spreadsheets and learning platforms write it → people.

bytes → text (``encoding``) → rows (``delimited``, ``markup``, ``workbook``) → a table (``columns``, by ``headings``) →
students (``people``). Each stage is pure. All problems of a stage are reported at once, each with its line.
"""

from __future__ import annotations

from pathlib import Path

from nodisk.classes.roster import columns, delimited, encoding, markup, workbook
from nodisk.classes.roster.headings import FIELDS
from nodisk.classes.roster.model import Hints, Person, Roster, Row, fold
from nodisk.classes.roster.people import checked, students
from nodisk.errors import SpecError, UsageError

__all__ = ["Hints", "Person", "Roster", "examine", "fold", "from_names", "hints", "parse", "read", "text"]

MAX_BYTES = 5 * 1024 * 1024
MAX_ROWS = 20_000

_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "a text processor's document"),
    (b"\x1f\x8b", "a compressed file"),
    (b"Rar!", "a compressed file"),
    (b"7z\xbc\xaf", "a compressed file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"MIME-Version:", "a saved web page (MHTML)"),
    (b"BEGIN:VCARD", "a file of contacts (vCard)"),
)
_SAVE = "open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx"


def read(path: Path, how: Hints | None = None) -> Roster:
    """The people of a file, and how it was understood; raises SpecError with every problem and its line."""
    if path.stat().st_size > MAX_BYTES:
        raise SpecError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB; check that it is a roster")
    return examine(path.read_bytes(), str(path), how)


def parse(data: bytes, file: str) -> list[Person]:
    """The people alone, from a file's bytes."""
    return list(examine(data, file).people)


def examine(data: bytes, file: str, how: Hints | None = None) -> Roster:
    """As ``read``, from the file's bytes."""
    if len(data) > MAX_BYTES:
        raise SpecError(f"{file} is larger than {MAX_BYTES // 1024**2} MiB; check that it is a roster")
    how = how or Hints()
    readings = _readings(data, file, how)
    if any(len(rows) > MAX_ROWS for rows in readings):
        raise SpecError(f"{file} has more than {MAX_ROWS} lines; check that it is a roster")
    return students(columns.table(readings, file, how), file)


def text(data: bytes, file: str) -> str:
    """A list of plain lines or a CSV file as text, whatever its encoding; raises SpecError for anything else."""
    if len(data) > MAX_BYTES:
        raise SpecError(f"{file} is larger than {MAX_BYTES // 1024**2} MiB; check that it is a roster")
    _refuse_others(data, file)
    if workbook.looks_like_workbook(data):
        raise SpecError(f"{file} is a spreadsheet, not text", hint="save it from the spreadsheet as CSV (UTF-8)")
    found = encoding.decode(data, file)
    if markup.looks_like_html(found):
        raise SpecError(f"{file} is a web page, not a list", hint=_SAVE)
    return found


def hints(said: tuple[str, ...], encoding: str | None, sheet: str | None) -> Hints:
    """The options ``--column FIELD=HEADING``, ``--encoding`` and ``--sheet``; raises UsageError."""
    pairs = []
    for word in said:
        field, _, heading = word.partition("=")
        if field not in FIELDS or not heading.strip():
            raise UsageError(
                f"--column {word}: use FIELD=HEADING, where FIELD is one of {', '.join(FIELDS)}",
                hint="for example --column name='Uczestnik kursu', or --column name=2 in a file without headings",
            )
        pairs.append((field, heading.strip()))
    return Hints(tuple(pairs), encoding, sheet)


def from_names(words: str) -> list[Person]:
    """``a,b c`` from the command line → people; raises SpecError for duplicates."""
    names = [word.strip() for word in words.split(",") if word.strip()]
    return checked([Person(name, line=number) for number, name in enumerate(names, 1)], "--students")


def _refuse_others(data: bytes, file: str) -> None:
    for start, kind in _OTHERS:
        if data.startswith(start):
            raise SpecError(f"{file} is {kind}, not a list", hint=_SAVE)


def _readings(data: bytes, file: str, how: Hints) -> list[list[Row]]:
    _refuse_others(data, file)
    if workbook.looks_like_workbook(data):
        return [workbook.rows(data, file, how.sheet)]
    if how.sheet is not None:
        raise SpecError(f"{file} is not a spreadsheet, so it has no sheet {how.sheet!r}")
    text = encoding.decode(data, file, how.encoding or markup.charset(data))
    if text.count("\n") + text.count("\r") > 5 * MAX_ROWS:
        raise SpecError(f"{file} has more than {5 * MAX_ROWS} lines; check that it is a roster")
    if markup.looks_like_html(text):
        found = markup.tables(text)
        if not found:
            raise SpecError(f"{file} is a web page without a table", hint=_SAVE)
        return found
    if text.lstrip().startswith(("<?xml", "{", "[{")):
        raise SpecError(f"{file} is XML or JSON, not a list", hint=_SAVE)
    return delimited.readings(text, file)
