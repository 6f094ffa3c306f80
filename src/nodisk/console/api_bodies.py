"""What a program may say to the console: the bodies of requests, as JSON."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from nodisk.classes.plan import DEFAULT_DAYS
from nodisk.console.boot_orders import BootAction
from nodisk.console.care_orders import CareAction
from nodisk.console.class_orders import ClassAction
from nodisk.console.code_orders import CodeAction
from nodisk.console.orders import Action
from nodisk.console.remark_orders import IgnoreAction, NoteAction
from nodisk.console.upgrade_orders import UpgradeAction
from nodisk.server.handlers.common import Problem, body_of

MOST = 65536
"""Bytes of a request's body."""


class Body(BaseModel):
    """What a request may say: nothing but these."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Machines(Body):
    """Which machines are meant: those named, those of a row of seats, or all."""

    machines: list[str] = []
    row: int | None = None
    all: bool = False


class Switching(Machines):
    """What to do with machines: those named, those of a row of seats, or all."""

    action: Action = Field(strict=False)


class BootingMany(Machines):
    """What machines start at their next boot: an ``entry`` of the menu, or with ``clear`` their default."""

    action: BootAction = Field(strict=False)
    entry: str = ""


class Noting(Machines):
    """That machines' PCs are broken, with a ``note`` that says what is wrong, or mended."""

    action: NoteAction = Field(strict=False)
    note: str = ""


class Ignoring(Body):
    """Whether an unknown machine is left out of the list, or shown again."""

    action: IgnoreAction = Field(strict=False)


class Adopting(Body):
    """What an unknown machine becomes; empty: the next free name, no seat. A seat is ROW,COLUMN."""

    name: str = ""
    seat: str = ""


class Caring(Body):
    """What to do with the lab's backups."""

    action: CareAction = Field(strict=False)


class Upgrading(Body):
    """Where machines are to go: to the current build, or back to the one that they had."""

    action: UpgradeAction = Field(strict=False)


class Changing(Body):
    """What to do with a class: to the students named by label, or all; ``extend`` takes ``days`` and is for all."""

    action: ClassAction = Field(strict=False)
    students: list[str] = []
    all: bool = False
    days: int | None = None


class Coding(Body):
    """Who gets a code for the door: of the students named by label, or all, those who have neither code nor
    passphrase; with ``renew_codes`` each of them, and what they had ends at once.
    """

    action: CodeAction = Field(strict=False)
    students: list[str] = []
    all: bool = False


class Booting(Body):
    """What a machine starts at its next boot: an ``entry`` of its menu, or with ``clear`` its default."""

    action: BootAction = Field(strict=False)
    entry: str = ""


class Making(Body):
    """A class to be made. A teacher's token makes the teacher's own; ``teachers`` counts for an administrator's."""

    name: str
    roster: str
    """Names, one a line, or a table with headings."""
    size: str = "small"
    days: int = DEFAULT_DAYS
    storage: str = ""
    teachers: list[str] = []


class Telling(Body):
    """What a class is told: a ``text``, or with ``withdraw`` nothing any more."""

    text: str = ""
    withdraw: bool = False


B = TypeVar("B", bound=Body)


async def body(request: Request, shape: type[B]) -> B:
    """The request's JSON; raises Problem 400 that says what is wrong with it, 413."""
    try:
        return shape.model_validate_json(await body_of(request, MOST))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Problem(400, f"{where or 'the body'}: {first['msg']}") from error
