"""A roster and what is recorded → the class as it is to be. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from nodisk.classes import names
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person, fold
from nodisk.classes.sizes import Size
from nodisk.errors import UsageError

DEFAULT_DAYS = 120
LONGEST_DAYS = 1000
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Planned:
    """What ``create`` is about to do."""

    record: Class
    new: tuple[Account, ...]
    absent: tuple[Account, ...]
    """In the class, but not in the roster; left alone unless the teacher says otherwise."""


def check_name(name: str) -> str:
    """The name of a class; raises UsageError."""
    if not _NAME.fullmatch(name) or len(name) > names.LONGEST_CLASS or names.reserved(name):
        raise UsageError(
            f"{name!r} is not a valid class name: use up to {names.LONGEST_CLASS} lower-case letters, digits "
            "and hyphens, starting with a letter, and not a system name such as default or kube-system"
        )
    return name


def expiry(text: str | None, days: int | None, now: datetime) -> datetime | None:
    """``--expires DATE`` (to the end of that day, local time) or ``--days N``; None: neither was given."""
    if text is not None and days is not None:
        raise UsageError("use either --expires or --days, not both")
    if days is not None:
        return now + timedelta(days=days)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date; write it as 2027-02-28") from error
    # Not near the first and the last day that there are: there the time zone's arithmetic ends. Today may be another
    # day here than it is in UTC.
    if day > now.date() + timedelta(days=LONGEST_DAYS):
        raise UsageError(f"{text} is too far away: a class can last at most {LONGEST_DAYS} days")
    over = day < now.date() - timedelta(days=1)
    end = now if over else datetime.combine(day, time(23, 59, 59)).astimezone(UTC)
    if end <= now:
        raise UsageError(f"{text} is in the past")
    return end


def merge(
    existing: Class | None,
    people: Sequence[Person],
    *,
    name: str,
    now: datetime,
    prefix: str | None = None,
    size: tuple[str, Size] | None = None,
    role: Any = None,
    expires: datetime | None = None,
    teachers: Iterable[str] = (),
    storage: str | None = None,
    door: bool | None = None,
    terminals: bool | None = None,
    whole: bool = True,
) -> Planned:
    """The class after ``people`` are in it; whatever isn't given stays as recorded.

    A known student keeps the label, even under another name. ``whole``: the roster is all of the class, so students
    that are missing from it are reported.
    """
    if existing is None:
        if size is None or role is None:
            raise UsageError(f"there is no class {name!r} yet")
        existing = Class(
            name=name,
            prefix=f"{name}-" if prefix is None else prefix,
            size_name=size[0],
            size=size[1],
            role=role,
            created=now,
            expires=expires or now + timedelta(days=DEFAULT_DAYS),
            terminals=True,
        )
    change: dict[str, Any] = {"size_name": size[0], "size": size[1]} if size else {}
    if expires is not None and expires != existing.expires:
        existing = existing.extended(expires, now)
    if existing.expires <= now:
        raise UsageError(f"class {name} has ended", hint=f"extend it with nodisk class extend {name} --days 30")
    given = {"role": role, "storage": storage, "door": door, "terminals": terminals}
    change |= {key: value for key, value in given.items() if value is not None}
    taken = {account.label for account in (*existing.students, *existing.teachers)}
    staff = _teachers(existing.teachers, teachers, taken)
    known = _known(existing.students, people)
    _refuse_mixed_up(existing.students, known, people)
    students, new = _students(existing.students, known, people, taken)
    listed = {account.key for account in (*known.values(), *new)}
    absent = tuple(s for s in existing.students if s.key not in listed) if whole else ()
    change |= {"students": students, "teachers": staff}
    record = existing.model_copy(update=change)
    if record.storage is not None and record.size.claims == 0:
        raise UsageError(
            f"size {record.size_name} allows no claims (claims: 0), so no one could use the storage",
            hint="choose another --size; each student's storage needs one claim",
        )
    return Planned(record, new, absent)


def _known(accounts: Sequence[Account], people: Sequence[Person]) -> dict[str, Account]:
    """Person's key → the account that the class already has for them.

    By the key; else by what the roster didn't say when the account was made: the id, the e-mail, or a name that only
    one has, where nothing speaks against it.
    """
    by_key = {account.key: account for account in accounts}
    found = {person.key: by_key[person.key] for person in people if person.key in by_key}
    for number, trait in enumerate(_TRAITS):
        taken = {account.key for account in found.values()}
        theirs = _only(trait, (account for account in accounts if account.key not in taken))
        for value, person in _only(trait, (person for person in people if person.key not in found)).items():
            account = theirs.get(value)
            if account is not None and not _differ(person, account, _TRAITS[:number]):
                found[person.key] = account
    return found


_TRAITS = ("id", "email", "name")
_Who = TypeVar("_Who", Person, Account)


def _trait(who: Person | Account, trait: str) -> str:
    return fold(str(getattr(who, trait)))


def _only(trait: str, everybody: Iterable[_Who]) -> dict[str, _Who]:
    """Who alone has that id, e-mail or name."""
    listed = [(_trait(who, trait), who) for who in everybody]
    count = Counter(value for value, _ in listed)
    return {value: who for value, who in listed if value and count[value] == 1}


def _differ(person: Person, account: Account, traits: Iterable[str]) -> bool:
    return any("" != _trait(person, trait) != _trait(account, trait) != "" for trait in traits)


def _refuse_mixed_up(accounts: Sequence[Account], known: Mapping[str, Account], people: Sequence[Person]) -> None:
    """Raise UsageError if a student would get what is another's: the ids of a list have moved by some lines."""
    problems = []
    for trait in ("email", "name"):
        owners = _only(trait, accounts)
        for person in people:
            mine, other = known.get(person.key), owners.get(_trait(person, trait))
            if mine is not None and other is not None and other.key != mine.key and _differ(person, mine, [trait]):
                problems.append(f"{person.name} has the key of {mine.name} ({mine.key}), but is already {other.label}")
    if problems:
        raise UsageError(
            "the roster confuses students of the class:\n  " + "\n  ".join(dict.fromkeys(problems[:10])),
            hint="if the id is a line number, name that column Nr; if a student really has another student's name now, "
            "tell the two apart by a second name",
        )


def _students(
    accounts: Sequence[Account], known: Mapping[str, Account], people: Sequence[Person], taken: set[str]
) -> tuple[tuple[Account, ...], tuple[Account, ...]]:
    """Everybody, and who of them is new. ``taken``: labels in use, of teachers too; a label is an account's name."""
    everybody = {account.key: account for account in accounts}
    new: list[Account] = []
    for person in people:
        if old := known.get(person.key):
            details = {"name": person.name, "id": person.id or old.id, "email": person.email or old.email}
            everybody[old.key] = old.model_copy(update=details)
            continue
        account = _account(person.key, person.name, person.name, taken, id=person.id, email=person.email)
        everybody[account.key] = account
        new.append(account)
    return tuple(everybody.values()), tuple(new)


def _teachers(known: Sequence[Account], wanted: Iterable[str], taken: set[str]) -> tuple[Account, ...]:
    there = {fold(teacher.name) for teacher in known}
    words = {fold(word): word for word in wanted}
    # Not as a Person's key begins: a student's id can't be a teacher's.
    new = [
        _account(f"teacher:{key}", f"teacher-{word}", word, taken) for key, word in words.items() if key not in there
    ]
    return (*known, *new)


def _account(key: str, called: str, name: str, taken: set[str], **more: str) -> Account:
    label = names.student_label(called, key, taken)
    taken.add(label)
    return Account(key=key, name=name, label=label, **more)
