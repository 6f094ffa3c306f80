"""What platforms, study offices and teachers export, in small and with made-up names, and who is in it."""

from __future__ import annotations

import pytest

from nodisk.classes import roster
from nodisk.classes.roster import Hints
from nodisk.errors import SpecError

Who = list[tuple[str, str, str]]
JAN = ("Jan Nowak", "300001", "jan@example.org")
JAN_ID, JAN_MAIL = ("Jan Nowak", "300001", ""), ("Jan Nowak", "", "jan@example.org")

SAMPLES: dict[str, tuple[str, str, Who]] = {
    "Moodle's grades": (
        "utf-8",
        ('First name,Surname,"ID number",Institution,Department,"Email address","Assignment: Lab 1 (Real)",'
        '"Course total (Real)","Last downloaded from this course"\n'
        "Jan,Nowak,300001,,,jan@example.org,5.00,5.00,1700000000\nEwa,Lis,,,,ewa@example.org,-,-,1700000000\n"),
        [JAN, ("Ewa Lis", "", "ewa@example.org")],
    ),
    "Moodle's grades in Polish": (
        "utf-8-sig",
        ('Imię,Nazwisko,"Numer ID",Instytucja,Wydział,"Adres e-mail","Zadanie:Lab 1 (Punkty)"\n'
        "Jan,Nowak,300001,,,jan@example.org,5\n"),
        [JAN],
    ),
    "Moodle's participants, with roles": (
        "utf-8",
        ('"First name","Last name","Email address",Roles,Groups,"Last access to course",Status\n'
        'Anna,Maj,anna@example.org,Teacher,"No groups",now,Active\n'
        'Jan,Nowak,jan@example.org,Student,"Group 1",now,Active\n'),
        [JAN_MAIL],
    ),
    "Moodle's upload of users": (
        "utf-8",
        "username,firstname,lastname,email,course1,group1\njnowak,Jan,Nowak,jan@example.org,K8S,G1\n",
        [("Jan Nowak", "jnowak", "jan@example.org")],
    ),
    "Canvas": (
        "utf-8-sig",
        ("Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (123),Final Score\n,,,,,Manual Posting,\n"
        '"    Points Possible",,,,,10.0,(read only)\n"Nowak, Jan",1,300001,jnowak,K8S,9,90\n'
        '"Student, Test",3,,abcdef,K8S,,\n'),
        [JAN_ID],
    ),
    "Blackboard, tabs and UTF-16": (
        "utf-16",
        ('"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Last Access"\t"Availability"\n'
        '"Nowak"\t"Jan"\t"jn1"\t"300001"\t"x"\t"Yes"\n"PreviewUser"\t"Ann"\t"ann_previewuser"\t""\t""\t"Yes"\n'),
        [JAN_ID],
    ),
    "Google Classroom": (
        "utf-8",
        "Last Name,First Name,Email Address\nNowak,Jan,j1@example.org\nNowak,Jan,j2@example.org\n",
        [("Jan Nowak", "", "j1@example.org"), ("Jan Nowak", "", "j2@example.org")],
    ),
    "Google's accounts": (
        "utf-8",
        ("First Name [Required],Last Name [Required],Email Address [Required],Password [Required]\n"
        "Jan,Nowak,jan@example.org,****\n"),
        [JAN_MAIL],
    ),
    "Google Forms": (
        "utf-8",
        "Sygnatura czasowa,Adres e-mail,Imię i nazwisko,Numer indeksu\nx,jan@example.org,Jan Nowak,300001\n",
        [JAN],
    ),
    "GitHub Classroom": (
        "utf-8",
        ('"identifier","github_username","github_id","name"\n"jn@example.org","jn","1","Jan Nowak"\n'
        '"el@example.org","","",""\n"Maj, Anna","","",""\n'),
        [("Jan Nowak", "jn@example.org", ""), ("el", "el@example.org", ""), ("Anna Maj", "Maj, Anna", "")],
    ),
    "Microsoft Forms": (
        "utf-8",
        "Identyfikator;Godzina rozpoczęcia;Godzina ukończenia;Adres e-mail;Nazwa\n1;a;b;jan@example.org;Jan Nowak\n",
        [JAN_MAIL],  # the number of an answer is nobody's id
    ),
    "Microsoft Teams": (
        "utf-16",
        ("Full Name\tFirst Join\tEmail\tRole\nJan Nowak\tx\tjan@example.org\tAttendee\n"
        "Anna Maj\tx\tanna@example.org\tOrganizer\n"),
        [JAN_MAIL],
    ),
    "Sakai": (
        "utf-8",
        ('Name,User Id,Email Address,Role\n"Nowak, Jan",300001,jan@example.org,Student\n'
        '"Maj, Anna",am,anna@example.org,Instructor\n'),
        [JAN],
    ),
    "Brightspace": (
        "utf-8",
        ("OrgDefinedId,Username,Last Name,First Name,Email,Final Grade,End-of-Line Indicator\n"
        "#300001,#jn,Nowak,Jan,jan@example.org,5,#\n"),
        [JAN],
    ),
    "ILIAS": (
        "utf-8",
        ('"Name";"Vorname";"Benutzername";"Matrikelnummer";"Rolle(n)"\n"Müller";"Jörg";"jm";"5";"Kursmitglied"\n'
        '"Maj";"Anna";"am";"";"Kursadministrator"\n'),
        [("Jörg Müller", "5", "")],
    ),
    "Stud.IP": (
        "cp1252",
        ('Status;Anrede;Titel;Vorname;Nachname;"Titel nachgest.";Benutzername;Telefonnr.;E-Mail;Matrikelnummer\n'
        "autor;Herr;;Jörg;Müller;;jm;;jm@example.org;5\ndozent;Frau;Dr.;Anna;Maj;;am;;am@example.org;\n"),
        [("Jörg Müller", "5", "jm@example.org")],
    ),
    "USOS, with titles above and a sum below": (
        "utf-8",
        ("Lista studentów;;;\nPrzedmiot:;Kubernetes;;\nProwadzący:;dr Anna Maj;;\n\nLp.;Nr albumu;Nazwisko;Imiona\n"
        "1;300001;Nowak;Jan\n2;;;\nRazem: 1;;;\n"),
        [JAN_ID],
    ),
    "Librus": (
        "cp1250",
        "Nr w dzienniku;Nazwisko;Imię;PESEL;Telefon\n1;Ślęzak;Żaneta;00000000000;500\n",
        [("Żaneta Ślęzak", "", "")],  # a PESEL is not for a cluster
    ),
    "two rows of headings, averages below": (
        "utf-8",
        "Dane studenta;;;Oceny;\nLp.;Nazwisko;Imię;Lab 1;Lab 2\n1;Nowak;Jan;5;4\nŚrednia;;;5;4\n",
        [("Jan Nowak", "", "")],
    ),
    "groups between the lines": (
        "utf-8",
        "Nazwisko;Imię;Nr albumu\nGrupa 1;;\nNowak;Jan;300001\nGrupa 2;;\nLis;Ewa;300002\n",
        [JAN_ID, ("Ewa Lis", "300002", "")],
    ),
    "a page's heading twice": ("utf-8", "id,name\n300001,Jan Nowak\nid,name\n", [JAN_ID]),
    "British": ("utf-8", "ID,Name,Surname\n300001,Jan,Nowak\n", [JAN_ID]),
    "German": ("utf-8", "Name;Vorname\nMüller;Jörg\n", [("Jörg Müller", "", "")]),
    "French": ("cp1252", "Nom;Prénom;Mél.\nLefèvre;Hélène;h@x\n", [("Hélène Lefèvre", "", "h@x")]),
    "Spanish": ("cp1252", "Apellidos;Nombre\nMuñoz Núñez;José\n", [("José Muñoz Núñez", "", "")]),
    "Italian": ("utf-8", "Cognome;Nome;Matricola\nRossi;Mario;77\n", [("Mario Rossi", "77", "")]),
    "Czech": ("cp1250", "Příjmení;Jméno;UČO\nŘíčný;Šťastný;5\n", [("Šťastný Říčný", "5", "")]),
    "Czech, ISO-8859-2": ("iso8859-2", "Příjmení;Jméno;UČO\nŘíčný;Šťastný;5\n", [("Šťastný Říčný", "5", "")]),
    "Polish, ISO-8859-2": ("iso8859-2", "id;name\n1;Święta Żaneta Ślązak\n", [("Święta Żaneta Ślązak", "1", "")]),
    "Polish, CP1250": ("cp1250", "id;name\n1;Święta Żaneta Ślązak\n", [("Święta Żaneta Ślązak", "1", "")]),
    "UTF-16 without its mark": ("utf-16-le", "id\tname\n300001\tJan Nowak\n", [JAN_ID]),
    "surname, first name in one column": ("utf-8", "Nazwisko, imię;Nr albumu\nNowak, Jan;300001\n", [JAN_ID]),
    "surname, first name in one column, alone": ("utf-8", "Nazwisko, imię\nNowak, Jan\n", [("Jan Nowak", "", "")]),
    "a suffix is no first name": ("utf-8", 'name\n"Jan Nowak, Jr."\n', [("Jan Nowak, Jr.", "", "")]),
    "a heading over two lines": ("utf-8", '"Nr\nalbumu";"Imię\ni nazwisko"\n300001;Jan Nowak\n', [JAN_ID]),
    "a remark above": ("utf-8", "# exported 2024\nid,name\n300001,Jan Nowak\n", [JAN_ID]),
    "a remark below": ("utf-8", "id,name\n# second group\n300001,Jan Nowak\n", [JAN_ID]),
    "one column": ("utf-8", "Student Name\nJan Nowak\nEwa Lis\n", [("Jan Nowak", "", ""), ("Ewa Lis", "", "")]),
    "addresses alone": ("utf-8", "jan@example.org\n", [("jan", "", "jan@example.org")]),
    "old Mac's lines": ("utf-8", "id,name\r300001,Jan Nowak\r", [JAN_ID]),
    "two BOMs": ("utf-8-sig", "\ufeffid,name\n300001,Jan Nowak\n", [JAN_ID]),
    "bars": ("utf-8", "id|name\n300001|Jan Nowak\n", [JAN_ID]),
    "a table of Markdown": ("utf-8", "| id | name |\n|----|----|\n| 300001 | Jan Nowak |\n", [JAN_ID]),
    "a number kept as text": ("utf-8", 'id,name\n"=""00301""",Jan Nowak\n', [("Jan Nowak", "00301", "")]),
    "a web page that calls itself .xls": (
        "iso8859-2",
        ('<html><head><meta charset="iso-8859-2"></head><table><tr><td>M</table><table><tr><th>Nr albumu<th>Nazwisko i '
        "imię<tr><td>1<td>Święta, Żaneta</table></html>"),
        [("Żaneta Święta", "1", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_who_is_in_it(sample: str) -> None:
    encoding, text, people = SAMPLES[sample]
    found = roster.parse(text.encode(encoding), "r.csv")
    assert [(person.name, person.id, person.email) for person in found] == people


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("id;name\n1;Muñoz\n".encode("cp1252"), "is ambiguous: 'Muńoz' or 'Muñoz'"),
        ("id;name\n1;ÅšwiÄ™ta\n".encode(), r"r\.csv:2: .* should read '1;Święta'"),
        (b"Osoby zapisane\nJan Nowak\nEwa Lis\n", r"r\.csv:1: 'Osoby zapisane' is not a known heading"),
        (b"Kursantka\nJan Nowak\nEwa Lis\n", r"r\.csv:1: 'Kursantka'"),
        (b"Students of group 2\nJan Nowak\n", r"r\.csv:1: 'Students of group 2'"),
        (b"Adresy\njan@example.org\n", r"r\.csv:1: 'Adresy'"),
        (b"Kandydat;Punkty\nJan Nowak;5\n", r"r\.csv:1: the heading 'Kandydat, Punkty' has no known column"),
        (b"Jan Nowak\nname\nEwa Lis\n", r"r\.csv:1: 'Jan Nowak' is above the heading of line 2"),
        (b"Nazwisko i imie;;Nr albumu\nNowak;Jan;1\n", r"r\.csv:2: 'Jan' next to 'Nazwisko i imie'"),
        (b'id;name\n1;"Jan Nowak\n2;Ewa Lis\n', r"r\.csv:2: not CSV"),
        (b"Nr albumu;Nazwisko;Imie\n3,00001E+05;Nowak;Jan\n", r"r\.csv:2: .* was shortened by the spreadsheet"),
        (b"Nazwisko;Imie;Nr albumu\nNowak;Jan;1\nWydruk z USOS;;\n", r"r\.csv:3: 'Wydruk z USOS' is not a name"),
        (b"Nr albumu;Nazwisko\n1;Nowak\nWydrukowano z USOS;\n", r"r\.csv:3: 'Wydrukowano z USOS' is not an id"),
        (b"name,email\nJan Nowak,jan at example\n", r"r\.csv:2: 'jan at example' is not one e-mail"),
        (b"name,email\nJan Ko?ciuszko,\n", r"r\.csv:2: .*a letter was lost"),
        (b"name,email\n12345,\n", r"r\.csv:2: '12345' is not a name"),
        (b"name,id\n=A1,1\n", r"r\.csv:2: '=A1' is not a name"),
        (b"name,role\nJan Nowak,Zebra\n", r"r\.csv:2: Jan Nowak: is a person with the role 'Zebra' a student"),
        (b"1. Summary\nTitle\tx\nName\tEmail\nJan\tj@x\nName\tEmail\tRole\n", r"r\.csv:5: another table starts here"),
        (b"name\temail\nJan\tj@x\nEmail\tName\n", r"r\.csv:3: another table starts here"),
        (b"name\tx\nJan\t1\nEmail\tName\n", r"r\.csv:3: another table starts here"),
        (b"%PDF-1.4", "is a PDF"),
        (b"<?xml version='1.0'?><Workbook/>", "is XML or JSON"),
        (b"<html><p>nothing</p></html>", "without a table"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_its_line(data: bytes, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        roster.parse(data, "r.csv")


def test_what_was_taken_for_what_is_said() -> None:
    data = SAMPLES["Canvas"][1].encode()
    assert roster.examine(data, "r.csv").explained() == [
        "columns: name from 'Student', id from 'SIS User ID'",
        "unused columns: 'ID', 'SIS Login ID', 'Section', 'Lab 1 (123)', 'Final Score'",
        "line 2 is nobody: 'Manual Posting'",
        "line 3 is nobody: 'Points Possible'",
        "line 5 is a platform's test account: 'Test Student'",
    ]


def test_namesakes_are_told_which_columns_were_not_read() -> None:
    with pytest.raises(SpecError, match=r"r\.csv:3: Jan has the same name as line 2; .*unused columns: 'Kontakt'"):
        roster.parse(b"name,Kontakt\nJan,j1@x\nJan,j2@x\n", "r.csv")


def test_a_user_says_what_a_column_is() -> None:
    data = b"Kandydat;Kod\nJan Nowak;7\n"
    how = roster.hints(("name=Kandydat", "id=Kod"), None, None)
    assert [(p.name, p.id) for p in roster.examine(data, "r.csv", how).people] == [("Jan Nowak", "7")]
    by_number = roster.hints(("name=2",), None, None)
    assert [p.name for p in roster.examine(b"1;Jan Nowak\n2;Ewa Lis\n", "r.csv", by_number).people] == [
        "Jan Nowak",
        "Ewa Lis",
    ]
    with pytest.raises(SpecError, match="no column named 'Nazwa'"):
        roster.examine(b"id;name\n1;Jan\n", "r.csv", roster.hints(("name=Nazwa",), None, None))
    assert (
        roster.examine("id;name\n1;Muñoz\n".encode("cp1252"), "r.csv", Hints(encoding="cp1252")).people[0].name
        == "Muñoz"
    )
    with pytest.raises(SpecError, match="is not klingon text"):
        roster.examine(b"id;name\n1;Jan\n", "r.csv", Hints(encoding="klingon"))
    ignored = roster.hints(("ignore=Role",), None, None)
    assert len(roster.examine(b"name,Role\nJan Nowak,Zebra\n", "r.csv", ignored).people) == 1
