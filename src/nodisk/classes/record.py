"""Class records: what nodisk knows about a class besides what the cluster holds. No token is ever in one.

``STATE/labs/LAB/classes/CLASS.json``, 0600, written whole. People's names and addresses are only here, on the server.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nodisk import files
from nodisk.classes.sizes import Size
from nodisk.errors import IntegrityError, UsageError
from nodisk.state import LabState

Role = Literal["edit", "admin", "view"]
SHARING_LIMIT = 60.0
"""Seconds to wait for what all classes share: others hold it while they write a record, or delete some objects."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Data):
    """Somebody who gets a credential: a student, or a teacher of the class."""

    key: str
    """What stays the same when the roster is edited (``roster.Person.key``)."""
    name: str
    id: str = ""
    email: str = ""
    label: str
    """The DNS label that the person's objects are called by."""
    credential: int = 1
    """Counts rotations. Each has a ServiceAccount of its own, so that an old one has no right left at once."""
    token_sha256: str = ""
    """Of the token that was handed out: tells whether a handout is still the right one."""
    expires: datetime | None = None
    """When the token ends, as the API server set it."""
    until: datetime | None = None
    """The end of the class when the token was asked for: if that has moved, it takes another token."""
    suspended: bool = False
    by_hand: bool = False
    """Suspended by the teacher, not by the end of the class; a class that is extended doesn't give that back."""

    @property
    def service_account(self) -> str:
        """Its name in the class's own namespace."""
        return f"{self.label}-{self.credential}"


class Class(_Data):
    """One class."""

    version: Literal[1] = 1
    name: str
    prefix: str
    """Before every student's label in the name of the namespace: ``CLASS-``, or nothing for the thesis' commands."""
    size_name: str
    size: Size
    role: Role
    created: datetime
    expires: datetime
    """When the students' access ends."""
    grace_days: int = 14
    """Days from suspension by date to deletion."""
    storage: str | None = None
    """How much each student keeps on the server."""
    out: str | None = None
    """Where the handouts were written."""
    warned: bool = False
    door: bool = True
    """Whether students may sign in in a browser, once they have codes."""
    terminals: bool = False
    """Whether students get a terminal at the door; a class of before there were any has none until it is asked for."""
    students: tuple[Account, ...] = ()
    teachers: tuple[Account, ...] = ()

    @property
    def identities(self) -> str:
        """The namespace of the class's ServiceAccounts; no student may do anything there."""
        return self.name

    @property
    def has_terminals(self) -> bool:
        """Whether there is a terminal to open: a student who may only look can't create a pod."""
        return self.door and self.terminals and self.role != "view"

    def namespace(self, student: Account) -> str:
        """The student's namespace."""
        return f"{self.prefix}{student.label}"

    @property
    def spaces(self) -> set[str]:
        """All namespaces of the class."""
        return {self.identities, *map(self.namespace, self.students)}

    def student(self, word: str) -> Account:
        """The student with that label, id, e-mail or name; raises UsageError."""
        return self._only(word, [s for s in self.students if self._called(s, word)])

    def account(self, word: str) -> Account:
        """As ``student``, or the teacher with that label or name."""
        teachers = [teacher for teacher in self.teachers if word in (teacher.label, teacher.name)]
        return self._only(word, [*teachers, *(s for s in self.students if self._called(s, word))])

    def _called(self, student: Account, word: str) -> bool:
        return word in (student.label, self.namespace(student), student.id, student.email, student.name)

    def _only(self, word: str, found: list[Account]) -> Account:
        if len(found) != 1:
            why = "nobody" if not found else f"{len(found)} people"
            raise UsageError(f"{word!r} is {why} in class {self.name}", hint=f"nodisk class show {self.name}")
        return found[0]

    def extended(self, end: datetime, now: datetime) -> Class:
        """The class with another end; if it had ended, its students have their access back."""
        students = self.students
        if self.expires <= now:
            students = tuple(s.model_copy(update={"suspended": s.suspended and s.by_hand}) for s in students)
        return self.model_copy(update={"expires": end, "warned": False, "students": students})

    def without(self, gone: Collection[Account]) -> Class:
        """The class without these students and teachers."""
        keys = {account.key for account in gone}
        left = {
            field: tuple(a for a in getattr(self, field) if a.key not in keys) for field in ("students", "teachers")
        }
        return self.model_copy(update=left)

    def with_accounts(self, changed: Iterable[Account]) -> Class:
        """The class with these students and teachers replaced."""
        new = {account.key: account for account in changed}
        both = {field: tuple(new.get(a.key, a) for a in getattr(self, field)) for field in ("students", "teachers")}
        return self.model_copy(update=both)


def each_once(accounts: Iterable[Account]) -> list[Account]:
    """The accounts, each once, however often somebody was named."""
    return list({account.key: account for account in accounts}.values())


def _path(state: LabState, name: str) -> Path:
    return state.classes / f"{name}.json"


def load(state: LabState, name: str) -> Class | None:
    """The record of a class; None: there is none. Raises IntegrityError for a file that can't be read."""
    try:
        text = _path(state, name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return _parsed(text)
    except ValidationError as error:
        raise IntegrityError(f"{_path(state, name)} is damaged: {error.error_count()} problems") from error


@functools.lru_cache(maxsize=32)
def _parsed(text: str) -> Class:
    """Records can't be changed, so equal texts share one: a hundred terminals look at theirs each second."""
    return Class.model_validate_json(text)


def need(state: LabState, name: str) -> Class:
    """The record of a class; raises UsageError if there is none."""
    found = load(state, name)
    if found is None:
        known = ", ".join(sorted(path.stem for path in state.classes.glob("*.json"))) or "none"
        raise UsageError(f"there is no class {name!r} (known: {known})")
    return found


def load_all(state: LabState) -> list[Class]:
    """All classes, by name."""
    found = (load(state, path.stem) for path in sorted(state.classes.glob("*.json")))
    return [record for record in found if record is not None]


def save(state: LabState, record: Class) -> None:
    """Write the record, whole or not at all."""
    state.classes.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(_path(state, record.name), record.model_dump_json(indent=1) + "\n", mode=0o600)


def forget(state: LabState, name: str) -> None:
    """Remove the record of a class that is no more."""
    files.remove(_path(state, name))


@contextlib.contextmanager
def changing(state: LabState, name: str, *, dry_run: bool = False) -> Iterator[None]:
    """Hold the class while it is changed (not if that is only tried); raises Busy if another nodisk does."""
    if dry_run:
        yield
        return
    state.classes.mkdir(mode=0o700, parents=True, exist_ok=True)
    with files.lock(state.classes / f".{name}.lock", f"the class {name}"):
        yield


@contextlib.contextmanager
def sharing(state: LabState) -> Iterator[None]:
    """Hold what all classes of the lab share, waiting for others who do; raises Busy if that takes too long.

    Recording a class takes it, and so does deleting what no class needs, from reading the records to the deletion: so a
    class that is recorded later makes the shared objects after they were deleted.
    """
    state.classes.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not as the lock of any class is called.
    with files.lock(state.classes / ".lock", "what all classes share", wait=SHARING_LIMIT):
        yield


@contextlib.contextmanager
def staying(state: LabState, name: str) -> Iterator[list[Class]]:
    """The classes but ``name``, as they are when this is entered; none is recorded again until it is left."""
    with sharing(state):
        yield [found for found in load_all(state) if found.name != name]


def now() -> datetime:
    """The present, to the second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)
