"""Spreadsheets (.xlsx, .xls, .ods) → rows. The file is hostile: it may be small and want all of the memory.

A package of XML is read here first, with limits on what it unpacks to, and only the parts that hold cells are given to
the library, repacked: no macro, no link, no picture and no lie about a size reaches it.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from nodisk.classes.roster.delimited import clean
from nodisk.classes.roster.model import Row
from nodisk.errors import SpecError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MAX_UNPACKED = 40 * 1024 * 1024
MAX_CELLS = 2_000_000
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PARTS = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|xl/workbook\d*\.xml|xl/_rels/workbook\d*\.xml\.rels|xl/sharedStrings\.xml|"
    r"xl/styles\.xml|xl/worksheets/[\w .-]+\.xml|mimetype|content\.xml|META-INF/manifest\.xml",
    re.IGNORECASE,
)
_SAVE = "open it in a spreadsheet and save the list by itself as .xlsx or as CSV (UTF-8)"


def looks_like_workbook(data: bytes) -> bool:
    """Whether a file is a spreadsheet's own format, by its first bytes."""
    return data.startswith((b"PK\x03\x04", _OLD))


def rows(data: bytes, file: str, sheet: str | None = None) -> list[Row]:
    """The rows of the one sheet that holds something, or of the one that was named."""
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - only a spreadsheet needs it

    if data.startswith(b"PK"):
        data = _repacked(data, file)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        return _sheet(book, file, sheet)
    except (SpecError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise SpecError(f"{file} can't be read as a spreadsheet: {error}", hint=_SAVE) from error


def _repacked(data: bytes, file: str) -> bytes:
    """The parts that hold cells, unpacked within limits and repacked; raises SpecError."""
    parts: dict[str, bytes] = {}
    left = MAX_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for entry in package.infolist():
                if not _PARTS.fullmatch(entry.filename) or entry.filename in parts:
                    continue
                with package.open(entry) as stream:
                    part = stream.read(left + 1)
                left -= len(part)
                if left < 0:
                    raise SpecError(
                        f"{file} unpacks to more than {MAX_UNPACKED // 1024**2} MiB; check that it is a roster"
                    )
                parts[entry.filename] = part
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise SpecError(f"{file} is damaged or password-protected: {error}", hint=_SAVE) from error
    if not any(re.fullmatch(r"xl/workbook\d*\.xml|content\.xml", name, re.IGNORECASE) for name in parts):
        raise SpecError(f"{file} is not an .xlsx or .ods spreadsheet", hint=_SAVE)
    for name, part in parts.items():
        _check_part(name, part, file)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return out.getvalue()


def _check_part(name: str, part: bytes, file: str) -> None:
    """No entity, no other encoding than those that are checked here, no cell that is a million rows away."""
    if name == "mimetype":
        if part.strip() != b"application/vnd.oasis.opendocument.spreadsheet":
            raise SpecError(f"{file} is a document, but not a spreadsheet", hint=_SAVE)
        return
    if b"<!" in part.replace(b"<![CDATA[", b"").replace(b"<!--", b"") or b"\0" in part[:64]:
        raise SpecError(f"{file}: {name} has a document type or encoding not used by spreadsheets", hint=_SAVE)
    if name.casefold().startswith("xl/worksheets/"):
        cells = _extent(part)
    elif name.casefold() == "content.xml":
        cells = _repeated(part)
    else:
        return
    if cells > MAX_CELLS:
        raise SpecError(f"{file}: a sheet of {cells} cells is too large; check that it is a roster", hint=_SAVE)


def _extent(part: bytes) -> int:
    """Rows times columns of a sheet of an .xlsx: the library makes room for all of them."""
    rows = columns = 1
    for said in re.finditer(rb"\br\s*=\s*[\"']([A-Za-z]{0,9})(\d{1,12})[\"']", part):
        number = 0
        for letter in said[1].upper():
            number = number * 26 + letter - 64
        rows, columns = max(rows, int(said[2])), max(columns, number)
    # Cells and rows without a reference follow the one before.
    rows += len(re.findall(rb"<(?:\w+:)?row\b(?![^>]*\br\s*=)", part))
    columns += len(re.findall(rb"<(?:\w+:)?c\b(?![^>]*\br\s*=)", part))
    return rows * columns


def _repeated(part: bytes) -> int:
    """The most cells that an .ods can stand for by repeating filled ones; empty ones at the end are cut off."""
    total = 0
    for sheet in re.split(rb"<(?:[\w-]+:)?table(?![\w:-])", part):
        rows, widest = 1, 1
        for row in re.split(rb"<(?:[\w-]+:)?table-row\b", sheet)[1:]:
            filled = re.search(rb"<(?:[\w-]+:)?p\b|[\w-]+:value", row) is not None
            head, _, _ = row.partition(b">")
            repeats = [int(n) for n in re.findall(rb"repeated\s*=\s*[\"'](\d{1,12})[\"']", row)]
            own = [int(n) for n in re.findall(rb"rows-repeated\s*=\s*[\"'](\d{1,12})[\"']", head)]
            if filled:
                rows += max(own, default=1)
                cut = re.sub(rb"<(?:[\w-]+:)?table-cell\b[^<]*/>\s*(?=</(?:[\w-]+:)?table-row)", b"", row)
                wide = [int(n) for n in re.findall(rb"columns-repeated\s*=\s*[\"'](\d{1,12})[\"']", cut)]
                widest = max(widest, cut.count(b"-cell") + sum(wide))
            elif repeats:
                rows += 1
        total = max(total, rows * widest)
    return total


def _sheet(book: CalamineWorkbook, file: str, wanted: str | None) -> list[Row]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415

    names = [
        sheet.name
        for sheet in book.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
    ]
    if wanted is not None:
        if wanted not in names:
            raise SpecError(f"{file} has no sheet {wanted!r}; its sheets: {', '.join(map(repr, names)) or 'none'}")
        names = [wanted]
    filled = {name: found for name in names if (found := _rows(book.get_sheet_by_name(name), file))}
    if len(filled) > 1:
        raise SpecError(
            f"{file} has several sheets: {', '.join(map(repr, filled))}", hint=f"choose one: --sheet {names[0]!r}"
        )
    return next(iter(filled.values()), [])


def _rows(sheet: CalamineSheet, file: str) -> list[Row]:
    if sheet.total_height * sheet.total_width > MAX_CELLS:
        raise SpecError(f"{file}: sheet {sheet.name!r} is too large; check that it is a roster", hint=_SAVE)
    first_row, first_column = sheet.start or (0, 0)
    found = []
    for number, cells in enumerate(sheet.to_python(skip_empty_area=True), first_row + 1):
        row = Row(number, ("",) * first_column + tuple(clean(_text(cell)) for cell in cells))
        if row.filled:
            found.append(row)
    return found


def _text(value: object) -> str:
    """A cell as the spreadsheet shows it: a number without ``.0``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
