"""From what a spreadsheet writes to names of namespaces: encodings, headings, and no name that Kubernetes refuses."""

import codecs
import contextlib
import re
import string
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.classes import names, plan, record, roster, sizes
from nodisk.classes.roster import Person
from nodisk.errors import SpecError, UsageError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
POLISH = "id;Imię i nazwisko;E-mail\r\n1;Żółć Gęślą-Jaźń;z@example.org\r\n2;Łukasz Ćwik;\r\n"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Żółć Gęślą-Jaźń", "zolc-gesla-jazn"),
        ("Łukasz Ćwik", "lukasz-cwik"),
        ("Straße", "strasse"),
        ("O'Connor, Seán", "o-connor-sean"),
        ("  --x--  ", "x"),
        ("李小龍", ""),
        ("x" * 80, "x" * 40),
    ],
)
def test_labels(text: str, label: str) -> None:
    assert names.ascii_label(text) == label


@settings(max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=15, unique=True))
def test_labels_are_valid_unique_and_stable(people: list[str]) -> None:
    def labels() -> list[str]:
        taken: list[str] = []
        for name in people:
            taken.append(names.student_label(name, f"name:{name}", taken))
        return taken

    found = labels()
    assert len(set(found)) == len(found)
    assert found == labels()
    for label in found:
        assert LABEL.fullmatch(f"{'c' * names.LONGEST_CLASS}-{label}")
        assert not names.reserved(label)


@pytest.mark.parametrize(
    "data",
    [
        POLISH.encode(),
        codecs.BOM_UTF8 + POLISH.encode(),
        POLISH.encode("cp1250"),
        POLISH.encode("utf-16"),
        POLISH.replace(";", "\t").encode(),
        POLISH.replace(";", ",").encode(),
        b"sep=;\r\n" + POLISH.encode("cp1250"),
        ("\r\n;;\r\n" + POLISH + "\r\n;;\r\n").encode(),
        "E-MAIL,Nazwisko,Imię,Nr albumu\nz@example.org,Gęślą-Jaźń,Żółć,1\n,Ćwik,Łukasz,2\n".encode(),
    ],
)
def test_spreadsheets(data: bytes) -> None:
    people = roster.parse(data, "roster.csv")
    assert [(p.name, p.id, p.email) for p in people] == [
        ("Żółć Gęślą-Jaźń", "1", "z@example.org"),
        ("Łukasz Ćwik", "2", ""),
    ]


def test_one_column_without_a_heading() -> None:
    assert [p.name for p in roster.parse(b"Anna\nJan\n", "r.csv")] == ["Anna", "Jan"]


def test_quoted_cells_keep_the_line_numbers() -> None:
    data = b'name,id\n"Anna\nMaria",1\nJan,1\n'
    with pytest.raises(SpecError, match=r"r\.csv:4: Jan has the same id as line 2"):
        roster.parse(data, "r.csv")


def test_every_problem_at_once() -> None:
    data = b"id,name\n1,Anna\n1,Jan\n,\n2\n3,Ewa,x,y\n4,Anna\n"
    with pytest.raises(SpecError) as caught:
        roster.parse(data, "r.csv")
    assert caught.value.message.splitlines() == [
        "r.csv:6: 4 cells, but 2 headings",
        "r.csv:3: Jan has the same id as line 2; remove the line, or add an id to each",
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"name\n\n", "has no students"),
        (b"Anna,Nowak\nJan,Kowalski\n", "has no known column name"),
        (b"name\nAnna\nanna\n", "same name"),
        (b"name,id\nAn\x07na,1\n", "not a name"),
        (b"\x81\x83\x00\x98", "neither UTF-8 nor CP1250"),
        (b"lp,indeks\n1,\n", "no name, id or"),
        (b"lp,nr\n1,2\n", "no column for a name, id or e-mail"),
    ],
)
def test_what_is_no_roster(data: bytes, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        roster.parse(data, "r.csv")


def test_two_thousand_lines() -> None:
    data = "name,id\n" + "".join(f"Student Numer,{n}\n" for n in range(2000))
    planned = plan.merge(
        None, roster.parse(data.encode(), "r.csv"), name="big", now=record.now(), size=sizes.find("small"), role="edit"
    )
    assert len({student.label for student in planned.record.students}) == 2000


cells = st.text(st.sampled_from(string.printable + "żółćęśąźń\x00\ufeff"), max_size=12)


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=200), st.lists(st.lists(cells, max_size=4), max_size=6).map(
    lambda rows: ("id;name;email\n" + "\n".join(";".join(row) for row in rows)).encode()
)))  # fmt: skip
def test_no_file_breaks_the_reader(data: bytes) -> None:
    with contextlib.suppress(SpecError):
        people = roster.parse(data, "r.csv")
        assert len({person.key for person in people}) == len(people) > 0


def merge(existing: record.Class | None, *people: Person, teachers: Sequence[str] = ()) -> plan.Planned:
    new = existing is None
    return plan.merge(
        existing, people, name="k8s", now=record.now(), size=sizes.find("small") if new else None,
        role="edit" if new else None, teachers=teachers,
    )  # fmt: skip


def test_who_is_known_keeps_the_label() -> None:
    first = merge(None, Person("Anna Nowak", id="7"), Person("Jan", id="8")).record
    again = merge(first, Person("Anna Kowalska", id="7"), Person("Anna Nowak", id="9"))
    assert next((s.name, s.label) for s in again.record.students) == ("Anna Kowalska", "anna-nowak")
    assert [s.label for s in again.new] == [names.student_label("Anna Nowak", "id:9", {"anna-nowak"})]
    assert [s.label for s in again.absent] == ["jan"]


@pytest.mark.parametrize("heading", ["Nr", "No.", "Number", "Lp.", "Numer"])
def test_the_number_of_a_line_is_nobodys_id(heading: str) -> None:
    def people(*names: str) -> list[Person]:
        lines = [f"{number};{name}" for number, name in enumerate(names, 1)]
        return roster.parse("\n".join([f"{heading};Name", *lines]).encode(), "r.csv")

    first = merge(None, *people("Anna", "Jan")).record
    again = merge(first, *people("Adam", "Anna", "Jan"))
    assert [s.name for s in again.new] == ["Adam"]
    assert again.absent == ()
    assert again.record.students[:2] == first.students


def test_the_schools_number_wins_over_the_spreadsheets() -> None:
    for heading in ("ID;Nr albumu;Name", "Nr albumu;ID;Name"):
        cells = "1;301;Anna" if heading.startswith("ID") else "301;1;Anna"
        assert roster.parse(f"{heading}\n{cells}\n".encode(), "r.csv")[0].id == "301"


def test_ids_that_moved_by_a_line_are_refused() -> None:
    first = merge(None, Person("Anna", id="1"), Person("Jan", id="2")).record
    with pytest.raises(UsageError, match=r"Anna has the key of Jan \(id:2\), but is already anna"):
        merge(first, Person("Adam", id="1"), Person("Anna", id="2"), Person("Jan", id="3"))
    swapped = merge(None, Person("A", id="1", email="a@x"), Person("B", id="2", email="b@x")).record
    with pytest.raises(UsageError, match="confuses"):
        merge(swapped, Person("A", id="1", email="b@x"))


def test_a_column_more_or_less_doubles_nobody() -> None:
    names = merge(None, Person("Anna Nowak"), Person("Jan")).record
    mails = merge(names, Person("anna nowak", email="a@x"), Person("Jan", email="j@x"))
    assert (mails.new, mails.absent) == ((), ())
    numbers = merge(mails.record, Person("A. Nowak", id="7", email="a@x"), Person("Jan", id="8"))
    assert (numbers.new, numbers.absent) == ((), ())
    assert [(s.key, s.label, s.id, s.email) for s in numbers.record.students] == [
        ("name:anna nowak", "anna-nowak", "7", "a@x"),
        ("name:jan", "jan", "8", "j@x"),
    ]
    again = merge(numbers.record, Person("Anna Kowalska", id="7"), Person("Jan"))
    assert (again.new, again.absent) == ((), ())


def test_namesakes_are_not_taken_for_each_other() -> None:
    first = merge(None, Person("Jan")).record
    two = merge(first, Person("Jan", id="1"), Person("Jan", id="2"))
    assert [s.id for s in two.new] == ["1", "2"]  # which of them is the one that is there, nobody knows
    assert [s.label for s in two.absent] == ["jan"]
    known = merge(None, Person("Jan", id="1")).record
    assert [s.id for s in merge(known, Person("Jan", id="2")).new] == ["2"]


def test_no_two_accounts_are_one() -> None:
    found = merge(None, Person("Teacher Anna Nowak"), Person("Teacher"), teachers=["Anna Nowak", "Лука", "Иван"]).record
    assert len({account.label for account in (*found.students, *found.teachers)}) == 5
    assert len({account.key for account in (*found.students, *found.teachers)}) == 5
    again = merge(found, Person("teacher"), teachers=["anna nowak", "Лука"]).record
    assert again.teachers == found.teachers
    later = merge(merge(None, Person("Teacher Ewa")).record, teachers=["Ewa"]).record
    assert later.students[0].label != later.teachers[0].label


def test_reserved_names_are_nobodys() -> None:
    found = merge(None, Person("default"), Person("kube-system"), Person("Kube Public")).record
    assert all(not names.reserved(student.label) for student in found.students)
    assert [s.label for s in found.students] == ["s-default", "s-kube-system", "s-kube-public"]


@pytest.mark.parametrize("name", ["default", "kube-system", "Kurs", "a_b", "x" * 21, "-a", "1a", "students"])
def test_names_of_classes(name: str) -> None:
    with pytest.raises(UsageError):
        plan.check_name(name)


def test_dates() -> None:
    now = record.now()
    assert plan.expiry(None, None, now) is None
    end = plan.expiry(str((now.astimezone()).date()), None, now)
    assert end is not None
    assert 0 < (end - now).total_seconds() <= 86400
    for text in ("2001-01-01", "tomorrow"):
        with pytest.raises(UsageError):
            plan.expiry(text, None, now)
    with pytest.raises(UsageError, match="not both"):
        plan.expiry("2999-01-01", 3, now)


@pytest.mark.parametrize("separator", ["\t", ";", ",", "|"])
def test_a_spreadsheets_own_word_on_the_separator(separator: str) -> None:
    # More commas than separators: a guess would be wrong.
    text = f"sep={separator}\r\nid{separator}name\r\n1{separator}Kowalski, Jan, dr\r\n"
    if separator != ",":
        assert roster.parse(text.encode(), "r.csv") == [Person("Kowalski, Jan, dr", "1", line=3)]
    else:
        assert roster.parse(text.replace(", ", " ").encode(), "r.csv") == [Person("Kowalski Jan dr", "1", line=3)]


def test_what_is_not_csv_is_named_with_its_file() -> None:
    with pytest.raises(SpecError, match=r"group\.csv:2: not CSV"):
        roster.parse(b"id,name\n1," + b"x" * 200_000 + b"\n", "group.csv")
