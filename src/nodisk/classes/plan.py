"""A roster and what is recorded → the class as it is to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from nodisk.classes import names
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person
from nodisk.classes.sizes import Size
from nodisk.errors import UsageError

DEFAULT_DAYS = 120
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
            f"{name!r} can't be the name of a class: up to {names.LONGEST_CLASS} lower-case letters, digits "
            "and hyphens, a letter first; and no name of the system's own, such as default or kube-system"
        )
    return name


def expiry(text: str | None, days: int | None, now: datetime) -> datetime | None:
    """``--expires DATE`` (to the end of that day, local time) or ``--days N``; None: neither was given."""
    if text is not None and days is not None:
        raise UsageError("--expires and --days are two ways to say the same: give one")
    if days is not None:
        return now + timedelta(days=days)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date; write it as 2027-02-28") from error
    end = datetime.combine(day, time(23, 59, 59)).astimezone(UTC)
    if end <= now:
        raise UsageError(f"{text} is over already")
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
    out: str | None = None,
    whole: bool = True,
) -> Planned:
    """The class after ``people`` are in it; whatever isn't given stays as recorded.

    Who is known keeps the label, also under another name. ``whole``: the roster is all of the class, so who is
    missing in it is reported.
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
        )
    change: dict[str, Any] = {"size_name": size[0], "size": size[1]} if size else {}
    given = {"role": role, "expires": expires, "storage": storage, "out": out}
    change |= {key: value for key, value in given.items() if value is not None}
    students, new = _accounts(existing.students, people)
    known_teachers = {teacher.key for teacher in existing.teachers}
    wanted = [Person(word, id=f"teacher:{names.ascii_label(word)}") for word in teachers]
    staff, _ = _accounts(existing.teachers, [p for p in wanted if p.key not in known_teachers], mark="teacher-")
    listed = {person.key for person in people}
    absent = tuple(s for s in existing.students if s.key not in listed) if whole else ()
    change |= {"students": students, "teachers": staff}
    return Planned(existing.model_copy(update=change), new, absent)


def _accounts(
    known: Sequence[Account], people: Sequence[Person], *, mark: str = ""
) -> tuple[tuple[Account, ...], tuple[Account, ...]]:
    accounts = {account.key: account for account in known}
    taken = {account.label for account in known}
    new: list[Account] = []
    for person in people:
        if old := accounts.get(person.key):
            details = {"name": person.name, "id": person.id or old.id, "email": person.email or old.email}
            accounts[person.key] = old.model_copy(update=details)
            continue
        label = names.student_label(mark + person.name, person.key, taken)
        taken.add(label)
        account = Account(key=person.key, name=person.name, id=person.id, email=person.email, label=label)
        accounts[person.key] = account
        new.append(account)
    return tuple(accounts.values()), tuple(new)
