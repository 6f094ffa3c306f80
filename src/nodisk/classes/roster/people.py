"""A table → people. What is certainly no student is left out and named; what isn't understood is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nodisk.classes.roster import headings
from nodisk.classes.roster.columns import Table
from nodisk.classes.roster.model import Person, Roster, Row, fold
from nodisk.errors import SpecError

_EMPTY = frozenset({"-", "--", "–", "—", "n/a", "brak", "none", "null", "nan", "(none)"})
_EMAIL = re.compile(r"[^@\s<>;,]+@[^@\s<>;,]+")
_SUFFIX = frozenset(("jr", "sr", "ii", "iii", "iv", "phd", "md", "dr", "mgr", "inz", "lic", "prof", "msc", "bsc"))
# Small words inside of names: van der Berg, de la Cruz.
_PARTICLES = frozenset(
    (
        "van", "von", "der", "den", "de", "da", "do", "dos", "das", "du", "del", "della", "di", "la", "le", "las",
        "los", "el", "al", "bin", "binti", "ibn", "ben", "ter", "ten", "te", "zu", "zur", "zum", "y", "e", "und", "o",
        "ap", "af", "av",
    )
)  # fmt: skip
# Lines below or between people, as their name's cell says them.
_SUMMARY = re.compile(
    r"""(?:points\ possible | manual\ posting | possible\ points | max\ points |
    (?:class\ |overall\ |course\ )?average |
    totals? | sum | suma | razem | ogolem | lacznie | srednia(?:\ ocen|\ grupy)? | mediana | median | mean |
    podsumowanie | durchschnitt | mittelwert | summe | gesamt | anzahl | moyenne | promedio | totale | prumer | celkem |
    liczba\ (?:osob|studentow|uczniow) | (?:number\ of|total)\ (?:students|participants|people) | std\ dev |
    standard\ deviation | odchylenie\ standardowe | count | koniec(?:\ listy)? | end\ of\ (?:list|file|report))
    \s*[:.=]?\s*[\d.,%/ ]*""",
    re.VERBOSE,
)
_GROUP = re.compile(
    r"(?:grupa|group|gruppe|groupe|grupo|gruppo|skupina|klasa|klasse|class|section|sekcja|zespol|team|lab|laboratorium|seminarium|"
    r"sala|room|kurs|course|oddzial)\b.{0,20}?(?:\d+\w?|[: ]\s*\w{1,3})"
)
_TEST = frozenset({"test student", "student test", "demo student", "student demo", "test user", "student testowy"})

_STUDENT = re.compile(
    r"""\b(?:stud|uczestni|uczen|uczn|learner|pupil|teilnehm|schuler|autor|participant|member|mitglied|etudiant|eleve|
    alumn|estudiant|alunn|discente|ucastn|zak|attendee|kursant|sluchacz|kursmitglied|czlonek|active|aktywn|aktiv|
    enrolled|zapisan|ok\b)""",
    re.VERBOSE,
)
_TEACHER = re.compile(
    r"""\b(?:teacher|(?:non)?editing|instructor|lecturer|prof|prowadz|nauczyc|wyklad|koordynat|coordinator|manager|
    menedzer|dozent|tutor|lehr|leiter|trainer|betreuer|admin|owner|wlasciciel|organi[sz]|presenter|enseign|docent|ucitel|
    teaching|ta\b|assist|asyst|grader|designer|observer|creator|kursleit|kursadmin|guest|gosc|mentor|faculty|staff|
    kierownik|maestro|maitre|insegnant|larare|rodzic|parent)""",
    re.VERBOSE,
)
_WEAK_ROLE = frozenset({"status", "typ", "type", "kind", "roll", "account type", "member type", "user type"})


def students(table: Table, file: str) -> Roster:
    """The people of a table; raises SpecError with every problem and its line."""
    reader = _Reader(table, file)
    found: list[Person] = []
    blank: list[tuple[Row, str]] = []
    for row in table.rows:
        if len(row.cells) > len(table.fields) and any(row.cells[len(table.fields) :]):
            reader.problem(row, f"{len(row.cells)} cells, but {len(table.fields)} headings")
        elif not any(reader.get(row, field) for field in headings.IDENTITY):
            if not reader.no_person(row):
                blank.append((row, "no name, id or e-mail address"))
        elif person := reader.person(row):
            found.append(person)
    numbered = [row.line for row, _ in blank if reader.only_numbered(row)] if found else []
    for row, why in blank:
        if row.line not in numbered:
            reader.problem(row, why)
    if numbered:
        reader.notes.append(f"lines with only a number: {', '.join(map(str, numbered))}")
    used = tuple(
        (_SHOWN.get(field, field), heading)
        for field, heading in zip(table.fields, table.heading, strict=True)
        if field and field not in reader.ignored
    )
    unused = tuple(
        heading or f"column {number}, no heading"
        for number, (field, heading) in enumerate(zip(table.fields, table.heading, strict=True), 1)
        if (not field or field in reader.ignored)
        and (heading or any("".join(row.cells[number - 1 : number]) for row in table.rows))
    )
    good = checked(found, file, reader.problems, unused)
    return Roster(tuple(good), used, unused, (*table.notes, *reader.notes))


_SHOWN = {
    "full": "name", "surname-first": "name (surname first)", "first": "first name", "last": "last name", "number": "id",
    "login": "id (login)", "email": "e-mail",
}  # fmt: skip


class _Reader:
    """One table's rows; collects what is wrong and what was left out."""

    def __init__(self, table: Table, file: str) -> None:
        self.table, self.file = table, file
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.places = {field: index for index, field in enumerate(table.fields) if field}
        self.ignored = self._less_good()
        for field in self.ignored:
            del self.places[field]
        self.id_field = next((field for field in ("number", "id", "login") if field in self.places), "id")

    def _less_good(self) -> set[str]:
        """Columns that another makes needless: a login beside a number, a weak role whose values are no roles."""
        ignored: set[str] = set()
        ids = [field for field in ("number", "id", "login") if field in self.places]
        filled = [field for field in ids if any(self.get(row, field) for row in self.table.rows)]
        ignored.update(field for field in ids if field != (filled or ids)[0])
        if {"first", "last"} <= self.places.keys():
            ignored.update({"full", "surname-first"} & self.places.keys())
        elif {"full", "surname-first"} <= self.places.keys():
            ignored.add("surname-first")
        if "role" in self.places and headings.normal(self.table.heading[self.places["role"]]) in _WEAK_ROLE:
            values = [fold(self.get(row, "role")) for row in self.table.rows]
            if not all(_STUDENT.search(value) or _TEACHER.search(value) for value in values if value):
                ignored.add("role")
        return ignored

    def problem(self, row: Row, why: str) -> None:
        """Note what is wrong with a row."""
        self.problems.append(f"{self.file}:{row.line}: {why}")

    def get(self, row: Row, field: str) -> str:
        """A row's cell of a field; empty where it has none, or one that stands for nothing."""
        index = self.places.get(field)
        cell = row.cells[index] if index is not None and index < len(row.cells) else ""
        return "" if cell.casefold() in _EMPTY else cell

    def only_numbered(self, row: Row) -> bool:
        """Whether a row holds nothing but its number in the list."""
        return all(
            field == "" and cell.strip(".").isdigit()
            for field, cell in zip(self.table.fields, row.cells, strict=False)
            if cell
        )

    def no_person(self, row: Row) -> bool:
        """Whether a row without a name, id or e-mail is one of those that lists have; says so."""
        text = " ".join(row.filled)
        if not text or fold(text) in _EMPTY:
            return True
        first = fold(row.filled[0])
        if (
            _SUMMARY.fullmatch(fold(text))
            or _SUMMARY.fullmatch(first)
            or (len(row.filled) == 1 and _GROUP.fullmatch(first))
            or text.startswith("#")
        ):
            self._left_out(row, text)
            return True
        return False

    def _left_out(self, row: Row, text: str, why: str = "nobody") -> None:
        self.notes.append(f"line {row.line} is {why}: {text[:60]!r}")

    def person(self, row: Row) -> Person | None:
        """The person of a row; None where it is none, or has a problem."""
        email, number, name = self._email(row), self._id(row), self._name(row)
        if email is None or number is None:
            return None
        by_itself = len(row.filled) == 1
        text = name or number
        if why := _nobody(text, row, alone=not email and (not number or by_itself)):
            self._left_out(row, text, why)
            return None
        if not name and re.search(r"[\s:]", number):
            if self.table.heading[self.places[self.id_field]].casefold() != "identifier":
                self.problem(row, f"{number[:60]!r} is not an id; if it is a remark, remove the line")
                return None
            name = _turned(number)
        if not self._is_student(row, name or email or number):
            return None
        if name and (why := _no_name(name, by_itself and len(row.cells) > 1)):
            self.problem(row, f"{name[:60]!r} is not a name ({why})")
            return None
        return Person(name or (email or number).partition("@")[0], number, email, row.line)

    def _is_student(self, row: Row, who: str) -> bool:
        role = fold(self.get(row, "role"))
        if not role or (_STUDENT.search(role) and not _TEACHER.search(role)):
            return True
        if _TEACHER.search(role):
            self._left_out(row, f"{who} ({self.get(row, 'role')})", "no student")
        else:
            heading = self.table.heading[self.places["role"]]
            self.problem(
                row,
                f"{who}: is a person with the role {self.get(row, 'role')[:40]!r} a student? "
                f"If that column is not a role, use --column ignore='{heading}'",
            )
        return False

    def _email(self, row: Row) -> str | None:
        cell = self.get(row, "email")
        if not cell:
            return ""
        text = cell.removeprefix("mailto:")
        if inside := re.fullmatch(r"[^<>]*<([^<>]+)>", text):
            text = inside[1]
        if _EMAIL.fullmatch(text):
            return text
        self.problem(row, f"{cell[:60]!r} is not one e-mail address")
        return None

    def _id(self, row: Row) -> str | None:
        cell = self.get(row, self.id_field)
        if re.fullmatch(r"\d[.,]?\d*E\+?\d+", cell, re.IGNORECASE) and "+" in cell:
            self.problem(row, f"{cell!r} was shortened by the spreadsheet; format that column as text")
            return None
        if cell.startswith("#") and cell.rstrip("!?").isupper():
            self.problem(row, f"{cell!r} is a spreadsheet error, not an id")
            return None
        return re.sub(r"^#(?=\w)", "", cell)  # so that a spreadsheet leaves the number alone

    def _name(self, row: Row) -> str:
        first, last = self.get(row, "first"), self.get(row, "last")
        if first or last:
            return " ".join(part for part in (first, last) if part)
        return _turned(self.get(row, "full") or self.get(row, "surname-first"))


def _turned(name: str) -> str:
    """``Nowak, Jan`` → ``Jan Nowak``."""
    before, comma, after = (part.strip() for part in name.partition(","))
    if comma and before and after and "," not in after and fold(after).strip(".") not in _SUFFIX:
        return f"{after} {before}"
    return name


def _nobody(text: str, row: Row, *, alone: bool) -> str:
    """What a row is that is no person's; empty where it may be one's. ``alone``: it has nothing else that tells who."""
    plain, by_itself = fold(text), len(row.filled) == 1
    if by_itself and text.startswith("#") and not re.fullmatch(r"#[A-Z/0!?]+", text):
        return "a remark"
    if plain in _TEST or any(cell.endswith("_previewuser") for cell in row.cells):
        return "a platform's test account"
    summary = _SUMMARY.fullmatch(plain) or (by_itself and _GROUP.fullmatch(plain))
    return "nobody" if plain in ("points possible", "manual posting") or (alone and summary) else ""


def _no_name(name: str, by_itself: bool) -> str:
    """Why a text is nobody's name; empty where it may be one."""
    if not any(letter.isalpha() for letter in name):
        return "it has no letters"
    if name.startswith("=") or re.fullmatch(r"#[A-Z/0!?]+", name):
        return "a spreadsheet formula or error"
    if "\ufffd" in name or re.search(r"[^\W\d_]\?[^\W\d_]", name):
        return "a letter was lost on saving; export it again as UTF-8"
    if re.search(r"[:=]|\.{3}|…|_{2}|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|https?://", name):
        return "if it is a remark, remove the line"
    words = name.split()
    small = [word for word in words[1:] if word[0].islower() and fold(word) not in _PARTICLES]
    if by_itself and len(words) > 1 and words[0][0].isupper() and small:
        return "if it is a remark, remove the line"
    return ""


def checked(
    people: Iterable[Person], file: str, problems: Sequence[str] = (), unused: Sequence[str] = ()
) -> list[Person]:
    """The people, each once; raises SpecError with every problem."""
    found = list(problems)
    seen: dict[str, int] = {}
    good: list[Person] = []
    for person in people:
        clean = all(character.isprintable() for character in person.name + person.id + person.email)
        if not clean or len(person.name) > 200:
            found.append(f"{file}:{person.line}: {person.name[:40]!r} is not a name (control characters, or too long)")
        elif person.key in seen:
            what = person.key.partition(":")[0]
            found.append(
                f"{file}:{person.line}: {person.name} has the same {what} as line {seen[person.key]}; "
                "remove the line, or add an id to each"
                + (f" (unused columns: {', '.join(map(repr, unused))})" if unused else "")
            )
        else:
            seen[person.key] = person.line
            good.append(person)
    if found:
        raise SpecError("\n".join(found))
    if not good:
        raise SpecError(f"{file}: the roster has no students")
    return good
