"""Bytes → text. An encoding that can't be told from the bytes is asked for, never guessed."""

from __future__ import annotations

import codecs
import re
import unicodedata

from nodisk.errors import SpecError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SINGLE = ("cp1250", "iso8859-2", "cp1252")
_HINT = "save it from the spreadsheet as CSV (UTF-8), or specify the encoding: --encoding cp1250"

# A letter that only one of the encodings has in that place says little by itself: ``Muñoz`` is ``Muńoz`` in CP1250.
# The language of the headings decides.
_LANGUAGES = (
    (
        r"nazwisk|imi[eę]|imion|indeks|album|uczni|ucze[nń]|student[oó]w|lista stud",
        "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    ),
    (r"p[rř][ií]jmen|jm[eé]n|priezvisk|skupina", "áčďéěíňóřšťúůýžľĺŕôÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽĹŔÔ"),
    (r"vezet|keresztn|csal[aá]dn|ime\b|prezime|priimek|nume\b|prenume", "áéíóöőúüűčćšžđăâîșțşţÁÉÍÓÖŐÚÜŰČĆŠŽĐĂÂÎȘȚŞŢ"),
    (
        (
            r"pr[eé]nom\b|\bnom\b|apellido|nombre|cognome|\bnome\b|vorname|nachname|matrikel|sobrenome|apelido|"
            r"f[oö]rnamn|efternamn|achternaam|voornaam|fornavn|etternavn|efternavn"
        ),
        "àèùòìñãõøåêûïœæÿáéíóúäöüßçÀÈÙÒÌÑÃÕØÅÊÛÏŒÆŸÁÉÍÓÚÄÖÜÇ",
    ),
)
_COMMON = frozenset("äöüßéáíóúýôâîëçÄÖÜÉÁÍÓÚÝÔÂÎËÇ")  # the same byte in all three


def decode(data: bytes, file: str, encoding: str | None = None) -> str:
    """The text of a file; raises SpecError where its encoding can't be told."""
    text = _said(data, file, encoding) if encoding else _found(data, file)
    if "\0" in text:
        raise _unknown(file)
    _refuse_double_encoding(text, file)
    return text.lstrip("\ufeff")


def _said(data: bytes, file: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError, ValueError) as error:
        raise SpecError(f"{file} is not {encoding} text: {error}") from error


def _found(data: bytes, file: str) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _said(data[len(mark) :], file, encoding)
    if b"\0" in data:
        return _said_wide(data, file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _single(data, file)


def _said_wide(data: bytes, file: str) -> str:
    """UTF-16 without its mark: of ASCII letters every other byte is 0."""
    for encoding, nulls, letters in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if len(data) % 2 == 0 and data[nulls::2].count(0) * 2 > len(data) // 2 and 0 not in data[letters::2]:
            return _said(data, file, encoding)
    raise _unknown(file)


def _single(data: bytes, file: str) -> str:
    readings: dict[str, int] = {}
    for encoding in _SINGLE:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if (points := _plausible(text)) is not None:
            readings[text] = max(points, readings.get(text, points))
    if not readings:
        raise _unknown(file)
    best = max(readings.values())
    found = [text for text, points in readings.items() if points == best]
    if len(found) > 1:
        first, second = (_differing(found[0], found[1]), _differing(found[1], found[0]))
        raise SpecError(f"{file}: the encoding is ambiguous: {first!r} or {second!r}?", hint=_HINT)
    return found[0]


def _plausible(text: str) -> int | None:
    """How much a reading looks like names; None where it doesn't at all."""
    points = 0
    for match in re.finditer(r"[^\W\d_]*[^\x00-\x7f]+\w*", text):
        word = match[0]
        for number, letter in enumerate(word):
            if letter.isascii() or letter in "\xa0–—’‘“”„«»…":
                continue
            if not letter.isalpha() or letter in "ªº":  # controls, ¦, ¶, ³ … are in nobody's name
                return None
            if letter.isupper() and number and word[number - 1].islower():
                return None
            points += 0 if letter in _COMMON else 1
    words = text.casefold()
    for headings, letters in _LANGUAGES:
        if re.search(headings, words):
            points += 1000 * sum(letter in letters for letter in text)
    return points


def _differing(text: str, other: str) -> str:
    """The first word in which two readings of the same bytes differ."""
    for mine, its in zip(re.split(r"[\s;,|\t\"]+", text), re.split(r"[\s;,|\t\"]+", other), strict=False):
        if mine != its:
            return mine
    return text[:40]


def _refuse_double_encoding(text: str, file: str) -> None:
    """``ÅšwiÄ™ta`` is UTF-8 that was read as CP1252 and saved again."""
    for number, line in enumerate(text.split("\n"), 1):
        if not re.search("[ÃÄÅĂĹ][^\x00-\x7f]", line):
            continue
        for encoding in ("cp1252", "cp1250", "latin-1"):
            try:
                right = line.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            if all(unicodedata.category(letter)[0] != "C" or letter == "\r" for letter in right.replace("\t", "")):
                raise SpecError(
                    f"{file}:{number}: {line.strip()[:60]!r} was saved in the wrong encoding; it should read "
                    f"{right.strip()[:60]!r}",
                    hint="export the list again, and open it as UTF-8 before saving",
                )


def _unknown(file: str) -> SpecError:
    return SpecError(f"{file} is neither UTF-8 nor CP1250, ISO-8859-2 or CP1252 text", hint=_HINT)
