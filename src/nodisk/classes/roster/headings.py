"""What the headings of lists mean, as platforms, study offices and teachers write them, in their languages.

To add one: write it as ``normal`` makes it, that is in lower case, without accents and marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodisk.classes.roster.model import fold

FIELDS = ("id", "name", "first", "last", "email", "role", "ignore")
"""What ``--column FIELD=HEADING`` may say."""

IDENTITY = frozenset({"number", "id", "login", "email", "name", "full", "surname-first", "first", "last"})
"""``name`` is a first name beside a ``last``, a surname beside a ``first``, else all."""

_FIRST = """
    first name, firstname, given name, givenname, forename, fore name, first names, given names, forenames, imie,
    imiona, imie imiona, pierwsze imie, imie 1, imie pierwsze, vorname, vornamen, rufname, prenom, prenoms, krestni
    jmeno, meno, keresztnev, utonev, fornamn, fornavn, voornaam, roepnaam, prenume, ime, etunimi, primeiro nome,
    primer nombre, nombres, nombre de pila, student first name, learner first name, preferred name, imie studenta,
    imie ucznia
"""

_LAST = """
    last name, lastname, surname, family name, familyname, surnames, last names, nazwisko, nazwiska, nachname,
    familienname, zuname, nom de famille, nom usuel, nom d usage, apellido, apellidos, primer apellido, cognome,
    cognom, cognoms, prijmeni, priezvisko, vezeteknev, csaladnev, efternamn, etternavn, efternavn, achternaam, nume
    de familie, prezime, priimek, sukunimi, sobrenome, apelido, apelidos, ultimo nome, student last name, student
    surname, learner last name, nazwisko studenta, nazwisko ucznia
"""

# Alone a full name; beside the other part what is left of it.
_NAME = """
    name, names, nazwa, nom, nombre, nome, jmeno, nev, namn, navn, naam, nume, nimi, student name, students name,
    learner name, pupil name, participant name, attendee name, member name, student names
"""

_FULL = """
    full name, fullname, display name, displayname, student, students, student full name, name of student, learner,
    pupil, participant, attendee, member, user full name, participants, imie nazwisko, imiona nazwisko, nazwa
    uzytkownika wyswietlana, student imie i nazwisko, uczen, uczestnik, kursant, osoba, dane studenta, dane osobowe,
    student imie nazwisko, pelne imie i nazwisko, pelna nazwa, vollstandiger name, vor und nachname, vor und zuname,
    teilnehmer, teilnehmerin, teilnehmer in, studierende, studierender, schuler, schulerin, nom complet, prenom nom,
    etudiant, eleve, nombre completo, alumno, alumna, estudiante, nome completo, studente, alunno, aluno, estudante,
    cele jmeno, jmeno prijmeni, teljes nev, hela namnet, volledige naam, polne ime, nom et prenom usuel, estudiante
    nombre completo, nazwa wyswietlana, name first last
"""

_SURNAME_FIRST = """
    nazwisko imie, nazwisko imiona, nazwisko imie imiona, nazwiska imiona, last name first name, surname first name,
    surname forename, name last first, name surname first, lastname firstname, last first, nachname vorname, name
    vorname, nom prenom, apellidos nombre, apellido nombre, apellidos nombres, cognome nome, prijmeni jmeno,
    sortable name, student last first, surname given name, family name given name, surname name, student sortable
    name
"""

_NUMBER = """
    student id, studentid, student number, studentnumber, student no, student nr, student id number, student code,
    students id, index, index number, index no, indeks, nr indeksu, numer indeksu, album, nr albumu, numer albumu,
    album no, nr legitymacji, numer legitymacji, matrikelnummer, matrikelnr, matrikel nr, matrikel, matr nr, matrnr,
    matnr, martikelnummer, immatrikulationsnummer, registration number, registration no, reg no, regno,
    matriculation number, matric no, matriculation no, enrollment number, enrolment number, enrolment no, enrollment
    no, enrollment id, roll no, roll number, rollno, candidate number, university id, universityid, campus id,
    banner id, uin, uid, sid, sis user id, sis id, org defined id, orgdefinedid, school id, numero d etudiant,
    numero etudiant, n etudiant, no etudiant, num etudiant, code apogee, numero de estudiante, numero de matricula,
    matricula, matricola, numero matricola, numero de aluno, expediente, studentnummer, studienummer, ukco, uco,
    studijni cislo, cislo studenta, osobni cislo, neptun kod, neptun code, neptun, studentnr, opiskelijanumero, stud
    nr, ulid, puid, eid, legajo, codigo estudiante, identifier, id studenta, numer studenta, external id,
    externalid, sourcedid, student sis id, person code, ucid
"""

_ID = """
    id, id number, idnumber, numer id, identyfikator, id no, user id, userid, uzytkownik id, numero d
    identification, id nummer, numero id, kennung, kod, kod osoby, id osoby, person id, numero de id, numero de
    identificacion, id ucznia, id uzytkownika, numer identyfikacyjny, numero di identificazione, identifiant, cislo
    id, id cislo, numero de identificacao, idnummer, codice
"""

_LOGIN = """
    username, user name, login, login id, sis login id, nazwa uzytkownika, benutzername, anmeldename, nutzername,
    nom d utilisateur, nombre de usuario, usuario, nome utente, utente, uzivatelske jmeno, netid, net id, account,
    account name, logon name, benutzerkennung, rz kennung, uni account, email handle, end user digital id, nome de
    usuario, gebruikersnaam, anvandarnamn, brukernavn, felhasznalonev
"""

_EMAIL = """
    email, e mail, mail, emails, email address, e mail address, email addresses, mail address, emailaddress, adres
    email, adres e mail, adres mail, adres mailowy, adres poczty elektronicznej, poczta elektroniczna, poczta, e
    mail adresse, email adresse, emailadresse, mailadresse, mail adresse, adresse email, adresse e mail, adresse
    mail, adresse de courriel, adresse electronique, adresse de messagerie, courriel, mel, correo, correo
    electronico, direccion de correo, direccion de correo electronico, direccion email, direccion de email,
    indirizzo email, indirizzo e mail, indirizzo di posta elettronica, posta elettronica, endereco de email,
    endereco de e mail, endereco email, correio eletronico, emailova adresa, e mailova adresa, email adresa, e mail
    adresa, e posta, eposta, email cim, e mail cim, e post, epost, e postadress, epostadress, e postadresse,
    mailadres, emailadres, e mailadres, student email, student e mail, email studenta, e mail studenta, adres e mail
    studenta, university email, university e mail, school email, school e mail, email uczelniany, e mail uczelniany,
    institutional email, institution email, primary email, user principal name, userprincipalname, upn, e mail
    instytucjonalny, adres e mail uczelniany, adres email uczelniany, user email, contact email, work email,
    sahkoposti, sahkopostiosoite, e mail ucznia, email ucznia, learner email, participant email, attendee email,
    correo institucional, student mail, email 1 value, e mail 1 value, uni mail, mel institutionnel
"""

# An ordinal number is nobody's id: it moves when a line is inserted.
_ORDINAL = """
    lp, l p, nr, no, number, numer, num, liczba porzadkowa, numer porzadkowy, nr porzadkowy, poz, pozycja, nr w
    dzienniku, numer w dzienniku, lfd nr, lfdnr, lfd, laufende nummer, ordinal, serial no, serial number, sl no, s
    no, sr no, sno, n, n°, nº, numero, n ordre, c, cislo, por, por c, poradi, p c, poradove cislo, index no in list,
    row, line, position, seq, nummer, sorszam, ssz, nro, r br, rb, wiersz, 序号
"""

_ROLE = """
    role, roles, role s, course role, user role, rola, role w kursie, rola w kursie, role w kursach, rolle, rollen,
    rolle n, ruolo, ruoli, rol, roles en el curso, papel, papeis, role v kurzu, user type, account type, member
    type, participant type, status, typ, type, typ uczestnika, rolle im kurs, course roles, roll, roller, enrollment
    role, rola uzytkownika, role in course, kind
"""


# Words that a title or a heading has, and hardly a person.
_TITLES = """
    name, names, nazwisko, imie, student, students, studenci, studentow, studenta, uczen, uczniowie, uczniow,
    participant, participants, uczestnik, uczestnicy, uczestnikow, attendee, attendees, learner, learners, pupil,
    pupils, member, members, teilnehmer, teilnehmende, teilnehmerliste, studierende, schuler, namen, list, lista,
    liste, listy, roster, group, grupa, grupy, gruppe, groupe, grupo, gruppo, class, classe, klasa, klasse, klasy,
    course, kurs, kursu, cours, curso, corso, email, mail, surname, last, first, full, vorname, nachname, nom,
    prenom, nombre, apellidos, apellido, nome, cognome, prijmeni, jmeno, people, users, user, enrolled, zapisani,
    osoby, osoba, semester, semestr, rok, year, obecnosci, attendance, przedmiot, subject, etudiants, eleves,
    alumnos, estudiantes, studenti, alunni, zaci, username, login, account, title, przedmiotu, zajec, laboratorium,
    lab, wyklad, seminarium, team, teams, section, sekcja
"""


def _split(words: str) -> list[str]:
    return [" ".join(word.split()) for word in words.split(",")]


def _table() -> dict[str, str]:
    listed = {
        "": _ORDINAL, "first": _FIRST, "last": _LAST, "name": _NAME, "full": _FULL, "surname-first": _SURNAME_FIRST,
        "number": _NUMBER, "id": _ID, "login": _LOGIN, "email": _EMAIL, "role": _ROLE,
    }  # fmt: skip
    found: dict[str, str] = {}
    for field, words in listed.items():
        for word in _split(words):
            found.setdefault(word, field)
    return found


_HEADINGS = _table()
_WORDS = frozenset(_split(_TITLES))
_JOINED = re.compile(r"[,/&+;]| (?:i|oraz|and|or|und|et|ou|y|e|ed|a|och|og|en|ja|in) ")


def normal(heading: str) -> str:
    """A heading without case, accents, marks and what stands in brackets only to explain."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading)  # firstName
    text = re.sub(
        r"\[[^\]]*\]|\((?:required|wymagane|pflichtfeld|obligatoire|optional|opcjonalnie|\*)\)", " ", fold(text)
    )
    return " ".join(re.sub(r"[_.:*\-–—#'’`()\[\]\"?!]", " ", text).split())


def field_of(heading: str) -> str | None:
    """What a column holds by its heading: a field, "" for the number of a line, None if that isn't known."""
    if heading.strip() == "#":
        return ""
    text = normal(heading)
    plain = " ".join(re.sub(r"[,/&+;]", " ", text).split())
    bare = normal(re.sub(r"\([^)]*\)", " ", heading))
    for word in (text, plain, bare):
        if word in _HEADINGS and word:
            return _HEADINGS[word]
    return _joined(f" {text} ")


def _joined(text: str) -> str | None:
    """``nazwisko i imie``: two names in one column; which comes first matters."""
    parts = [_HEADINGS.get(part.strip()) for part in _JOINED.split(text) if part.strip()]
    if len(parts) < 2 or any(part is None for part in parts):
        return None
    if parts[0] == "last" or (parts[0] == "name" and parts[1] == "first"):
        return "surname-first" if set(parts) <= {"last", "name", "first"} else None
    return "full" if set(parts) <= {"last", "name", "first"} else None


# A form numbers its answers: that number is no person's.
_FORM = frozenset(
    _split("start time, completion time, godzina rozpoczecia, godzina ukonczenia, startzeit, fertigstellungszeit")
)


def fields_of(cells: Sequence[str]) -> list[str | None]:
    """What each column holds, by all headings of a table."""
    fields = [field_of(cell) if cell else None for cell in cells]
    form = any(normal(cell) in _FORM for cell in cells)
    return ["" if form and field == "id" else field for field in fields]


def sounds_like_heading(cell: str) -> bool:
    """Whether a text has words of titles and headings, though it is none that is known."""
    return any(word in _WORDS for word in normal(cell).split())
