"""Each stage from a file to people, over generated files: nothing is invented, nothing is lost, nothing breaks it."""

from __future__ import annotations

import contextlib
import csv
import html
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.classes import roster
from nodisk.classes.roster import Hints, columns, delimited, encoding, headings, markup, workbook
from nodisk.classes.roster.model import Row
from nodisk.classes.roster.people import students
from nodisk.errors import SpecError

HERE = Path(__file__).parent
WORDS = ["Żaneta", "Ślęzak", "Łukasz", "Ćwik", "Jan", "Źdźbło", "Ewa", "Gęślą-Jaźń", "Ożóg", "O'Connor", "van der Berg"]
NAMES = st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS))
PEOPLE = st.lists(st.tuples(NAMES, st.integers(1, 10**9)), min_size=1, max_size=8, unique_by=lambda each: each[1])
ROWS = ["Nr albumu", "Imię", "Nazwisko"]


def table(people: list[tuple[tuple[str, str], int]]) -> list[list[str]]:
    return [ROWS, *([str(number), first, last] for (first, last), number in people)]


def expected(people: list[tuple[tuple[str, str], int]]) -> list[tuple[str, str]]:
    return [(f"{first} {last}", str(number)) for (first, last), number in people]


def found(data: bytes) -> list[tuple[str, str]]:
    return [(person.name, person.id) for person in roster.parse(data, "r")]


@settings(max_examples=60)
@given(
    PEOPLE,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1250", "iso8859-2"]),
    st.sampled_from(";,\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_every_encoding_separator_and_line_end(
    people: list[tuple[tuple[str, str], int]], name: str, separator: str, end: str, quoting: int
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(table(people))  # type: ignore[arg-type]
    assert found(text.getvalue().encode(name)) == expected(people)


@settings(max_examples=60)
@given(st.text(max_size=80), st.sampled_from(["utf-8-sig", "utf-16"]))
def test_a_text_with_a_mark_is_read_back(text: str, name: str) -> None:
    with contextlib.suppress(UnicodeEncodeError, SpecError):
        assert encoding.decode(text.encode(name), "r") == text.lstrip("\ufeff")


@settings(max_examples=80)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.sampled_from(["cp1250", "iso8859-2"]))
def test_an_encoding_is_told_or_asked_for(words: list[str], name: str) -> None:
    """Without a word of Polish in the heading: never other letters than those that were written."""
    text = "id;name\n" + "".join(f"{number};{word}\n" for number, word in enumerate(words))
    with contextlib.suppress(SpecError):
        assert encoding.decode(text.encode(name), "r") == text


CELL = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\"'=#"), min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(";,\t|"))
def test_cells_survive_their_separator(cells: list[list[str]], separator: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(cells)
    rows = [Row(number, tuple(map(delimited.clean, line))) for number, line in enumerate(cells, 1)]
    assert [row for row in rows if row.filled] in delimited.readings(text.getvalue(), "r")


@settings(max_examples=60)
@given(st.lists(st.lists(CELL, min_size=2, max_size=3), min_size=1, max_size=6))
def test_cells_survive_html(cells: list[list[str]]) -> None:
    text = "<table>" + "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>\n" for line in cells
    )
    rows = [tuple(map(delimited.clean, line)) for line in cells]
    assert [row.cells for rows in markup.tables(text) for row in rows] == [row for row in rows if any(row)]


@settings(max_examples=100)
@given(st.text(max_size=30))
def test_a_heading_is_read_in_every_dress(text: str) -> None:
    field = headings.field_of(text)
    assert field is None or field in {"", "role", *headings.IDENTITY}
    assert headings.normal(headings.normal(text)) == headings.normal(text)


@pytest.mark.parametrize("words", ["Imię i nazwisko", "E-mail", "Nr albumu", "First name", "Last, First", "firstName"])
def test_case_marks_and_blanks_of_a_heading_do_not_matter(words: str) -> None:
    for dress in (
        words.upper() if words != "firstName" else words,
        f"  {words}: ",
        words.replace(" ", "_"),
        f"{words} *",
    ):
        assert headings.field_of(dress) == headings.field_of(words) is not None


@settings(max_examples=100)
@given(st.lists(st.lists(st.one_of(CELL, st.sampled_from(["", *WORDS, *ROWS, "name", "Lp."])), max_size=4), max_size=6))
def test_nobody_is_made_up(cells: list[list[str]]) -> None:
    """Each person's name is made of the cells of that person's line, and the heading is nobody."""
    rows = [Row(number, tuple(line)) for number, line in enumerate(cells, 1) if any(line)]
    with contextlib.suppress(SpecError):
        table = columns.table([rows], "r", Hints())
        assert all(row.line != table.line for row in table.rows)
        for person in students(table, "r").people:
            line = " ".join(cells[person.line - 1])
            assert all(word in line.replace(",", " ") for word in person.name.replace(",", " ").split())


def xlsx(rows: list[list[str]], **parts: str) -> bytes:
    """A spreadsheet as small as can be."""
    sheet = "".join(
        f'<row r="{number}">'
        + "".join(
            f'<c r="{"ABCDEFGH"[column]}{number}" t="inlineStr"><is><t>{html.escape(cell)}</t></is></c>'
            if not cell.isdigit()
            else f'<c r="{"ABCDEFGH"[column]}{number}"><v>{cell}</v></c>'
            for column, cell in enumerate(row)
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    files = {
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {space} xmlns:r="{links}"><sheets>'
        '<sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{links}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {space}><sheetData>{sheet}</sheetData></worksheet>",
        **parts,
    }  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, text)
    return out.getvalue()


@settings(max_examples=30)
@given(PEOPLE)
def test_a_spreadsheet_is_the_same_list(people: list[tuple[tuple[str, str], int]]) -> None:
    assert found(xlsx(table(people))) == expected(people)


def test_an_old_spreadsheet_with_titles_above() -> None:
    people = roster.parse((HERE / "rosters/usos.xls").read_bytes(), "usos.xls")
    assert [(p.name, p.id, p.email, p.line) for p in people] == [
        ("Jan Nowak", "300001", "jan@example.org", 4),
        ("Żaneta Ślęzak", "300002", "", 5),
    ]


def ods(rows: str, kind: str = "spreadsheet") -> bytes:
    """An OpenDocument file as small as can be."""
    office = "urn:oasis:names:tc:opendocument:xmlns"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        package.writestr(
            "content.xml",
            f'<o:document-content xmlns:o="{office}:office:1.0" xmlns:table="{office}:table:1.0" '
            f'xmlns:text="{office}:text:1.0" xmlns:office="{office}:office:1.0"><office:body><office:spreadsheet>'
            f'<table:table table:name="A">{rows}</table:table></office:spreadsheet></office:body></o:document-content>',
        )
        package.writestr("META-INF/manifest.xml", "<manifest/>")
    return out.getvalue()


def row(*cells: str, repeated: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeated}">' + "".join(
        f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in cells
    ) + '<table:table-cell table:number-columns-repeated="1000"/></table:table-row>'  # fmt: skip


def test_an_open_document() -> None:
    rest = '<table:table-cell table:number-columns-repeated="16384"/>'
    empty = f'<table:table-row table:number-rows-repeated="1048000">{rest}</table:table-row>'
    data = ods(row("Nr albumu", "Imię i nazwisko") + row("300001", "Jan Nowak") + empty)
    assert found(data) == [("Jan Nowak", "300001")]


FAR = '<c r="XFD1048576"><v>1</v></c>'
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (xlsx([["name"]], **{"xl/sharedStrings.xml": " " * (workbook.MAX_UNPACKED + 1)}), "unpacks to more than"),
        (xlsx([["name"]], **{"xl/sharedStrings.xml": '<!DOCTYPE a [<!ENTITY b "c">]><sst/>'}), "document type"),
        (xlsx([["name"]], **{"xl/worksheets/sheet1.xml": f"<worksheet {NAMESPACE}><sheetData><row>{FAR}</row>"
                             "</sheetData></worksheet>"}), "too large"),
        (ods(row("name") + row("Jan", repeated=10**7)), "too large"),
        (ods(row("name"), "text"), "a document, but not"),
        (xlsx([["name"], ["Jan"]])[:-30], "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "can't be read as a spreadsheet"),
        (b"PK\x03\x04", "damaged"),
    ],
)  # fmt: skip
def test_a_hostile_spreadsheet_is_refused(data: bytes, why: str) -> None:
    assert len(data) < roster.MAX_BYTES
    with pytest.raises(SpecError, match=why):
        roster.parse(data, "r.xlsx")


def test_macros_and_links_do_not_reach_the_library() -> None:
    data = xlsx([["name"], ["Jan"]], **{"xl/vbaProject.bin": "x", "xl/externalLinks/externalLink1.xml": "<!DOCTYPE x>"})
    assert [name for name, _ in found(data)] == ["Jan"]


def test_several_sheets_are_asked_about() -> None:
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    two = {
        "xl/workbook.xml": f'<workbook {NAMESPACE} xmlns:r="{links}"><sheets><sheet name="A" sheetId="1" r:id="r1"/>'
        '<sheet name="B" sheetId="2" r:id="r1"/></sheets></workbook>'
    }
    with pytest.raises(SpecError, match="several sheets: 'A', 'B'"):
        roster.parse(xlsx([["name"], ["Jan"]], **two), "r.xlsx")
    assert roster.examine(xlsx([["name"], ["Jan"]], **two), "r.xlsx", Hints(sheet="B")).people[0].name == "Jan"
    with pytest.raises(SpecError, match="has no sheet 'C'; its sheets: 'A', 'B'"):
        roster.examine(xlsx([["name"], ["Jan"]], **two), "r.xlsx", Hints(sheet="C"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_to_a_spreadsheet_breaks_the_reader(data: st.DataObject) -> None:
    whole = bytearray(
        data.draw(st.sampled_from([(HERE / "rosters/usos.xls").read_bytes(), xlsx(table([(("A", "B"), 1)]))]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SpecError):
        roster.parse(bytes(whole), "r.xls")


@pytest.mark.parametrize("unit", ["<!--", "<!", "<?", "<![CDATA["])
def test_remarks_without_an_end_take_no_time(unit: str) -> None:
    """The parser looks for the end of each: a megabyte of them would take hours."""
    assert markup.tables("<table><tr><td>a" + unit * 300_000) == [[Row(1, ("a",))]]
