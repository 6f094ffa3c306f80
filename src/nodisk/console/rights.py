"""What each role may see and do. Pure.

A teacher's classes are those that name them: `nodisk class create … --teacher NAME`. So there is one place that says
who teaches what, and a class that is made or handed over later needs no new invitation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nodisk.classes.record import Account, Class
from nodisk.records.console_access import ConsoleRole, Entry


class Right(StrEnum):
    """What a page needs of who asks for it."""

    ROOM = "room"
    """The room and its machines."""
    CLASSES = "classes"
    """Classes: a teacher's own, an administrator's all."""
    ACTIVITY = "activity"
    """What happened, with who signed in."""
    CARE = "care"
    """The cluster, reports and backups of the lab, and its machines-to-be."""
    SWITCH = "switch"
    """Switching machines."""


RIGHTS = {
    ConsoleRole.VIEWER: frozenset({Right.ROOM}),
    ConsoleRole.TEACHER: frozenset({Right.ROOM, Right.CLASSES}),
    ConsoleRole.ADMIN: frozenset(Right),
}
REFUSALS = {
    Right.ROOM: "you may not see this",
    Right.CLASSES: "only teachers and administrators may see this",
    Right.ACTIVITY: "only administrators may see this",
    Right.CARE: "only administrators may see this",
    Right.SWITCH: "only administrators may switch machines",
}


def may(role: ConsoleRole, right: Right) -> bool:
    """Whether a role has a right."""
    return right in RIGHTS[role]


def teaches(session: Entry, found: Class) -> bool:
    """Whether a class is theirs: an administrator's is each, a teacher's are those that name them and let them in."""
    if session.role is ConsoleRole.ADMIN:
        return True
    return session.role is ConsoleRole.TEACHER and session.name in names_of_teachers(found)


def account_of(session: Entry, found: Class) -> Account | None:
    """Somebody's own account as a teacher of a class; None: it doesn't name them, or they are suspended."""
    mine = (teacher for teacher in found.teachers if teacher.name == session.name and not teacher.suspended)
    return next(mine, None) if may(session.role, Right.CLASSES) else None


def theirs(session: Entry, classes: Iterable[Class]) -> list[Class]:
    """The classes of somebody."""
    return [found for found in classes if teaches(session, found)]


def names_of_teachers(found: Class) -> set[str]:
    """Whose class it is; who is suspended has none."""
    return {teacher.name for teacher in found.teachers if not teacher.suspended}


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the menu."""

    path: str
    word: str
    right: Right
    cluster: bool = False
    """Only in a lab with a cluster."""


MENU = (
    Item("/", "Room", Right.ROOM),
    Item("/unknown", "Unknown machines", Right.CARE),
    Item("/classes", "Classes", Right.CLASSES, cluster=True),
    Item("/cluster", "Cluster", Right.CARE, cluster=True),
    Item("/reports", "Reports", Right.CARE),
    Item("/backups", "Backups", Right.CARE),
    Item("/upgrade", "Upgrade", Right.CARE, cluster=True),
    Item("/activity", "Activity", Right.ACTIVITY),
)


def menu(role: ConsoleRole, *, cluster: bool) -> tuple[Item, ...]:
    """The pages of a role."""
    return tuple(item for item in MENU if may(role, item.right) and (cluster or not item.cluster))
