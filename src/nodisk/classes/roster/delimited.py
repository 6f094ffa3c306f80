"""Text with separators (CSV and its kin) → rows."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

from nodisk.classes.roster.model import Row
from nodisk.errors import SpecError

SEPARATORS = ";\t|,"
# Marks that are not seen and that some programs leave in cells.
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u2060\xad\u202a\u202b\u202c\u202d\u202e"))


def clean(cell: str) -> str:
    """A cell as a person sees it: composed, with single blanks, without marks that show nothing."""
    text = " ".join(unicodedata.normalize("NFC", cell).translate(_INVISIBLE).split())
    if shown := re.fullmatch(r'="([^"]*)"', text):  # how a CSV keeps a spreadsheet from touching a number
        return shown[1].strip()
    return text[1:] if re.fullmatch(r"'\d+", text) else text


def readings(text: str, file: str) -> list[list[Row]]:
    """The rows of a text, once for each separator that it may have; the likeliest comes first."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if said := re.fullmatch(r'"?sep=([^\s\w"]|\t)"?[ ;,]*', lines[0].lstrip("\ufeff"), re.IGNORECASE):
        return [_rows(lines[1:], said[1], 2, file)]
    found: list[tuple[int, int, list[Row]]] = []
    problem: SpecError | None = None
    for rank, separator in enumerate(SEPARATORS):
        if not any(separator in line for line in lines):
            continue
        try:
            rows = _rows(lines, separator, 1, file)
        except SpecError as error:
            problem = problem or error
            continue
        found.append((-_width(rows), rank, rows))
    if not found:
        if problem:
            raise problem
        return [_rows(lines, ";", 1, file)]
    return [rows for _, _, rows in sorted(found, key=lambda each: each[:2])]


def _width(rows: list[Row]) -> int:
    """In how many columns most rows agree; 0 for a separator that only stands in texts."""
    counts = [len(row.cells) for row in rows if len(row.cells) > 1]
    return sum(counts) if len(counts) * 2 > len(rows) else 0


def _rows(lines: list[str], separator: str, first: int, file: str) -> list[Row]:
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, strict=True)
    rows: list[Row] = []
    start = first
    try:
        for cells in reader:
            row = Row(start, tuple(clean(cell) for cell in cells))
            if row.filled:
                rows.append(row)
            start = first + reader.line_num
    except csv.Error as error:
        raise SpecError(f"{file}:{start}: not CSV: {error}", hint='double a quote inside a quoted cell: ""') from error
    return rows
