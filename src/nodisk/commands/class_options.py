"""Options that several commands of ``nodisk class`` share, and the values of those of ``create``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from nodisk.classes import homes as volumes
from nodisk.classes import plan, prompts, sizes
from nodisk.classes.record import Class
from nodisk.classes.roster import Person
from nodisk.errors import UsageError


def roster_options(command: Any) -> Any:
    """Who is in the class: the command gets ``roster``, ``students`` and ``reading``."""

    @functools.wraps(command)
    def with_reading(*args: Any, column: tuple[str, ...], encoding: str | None, sheet: str | None, **rest: Any) -> Any:
        return command(*args, reading=prompts.Reading(column, encoding, sheet), **rest)

    wrapped: Any = with_reading
    for option in (
        click.option("--sheet", metavar="NAME", help="Sheet to read when --roster is a spreadsheet."),
        click.option("--encoding", metavar="NAME", help="Encoding of --roster, such as cp1250 or iso8859-2."),
        click.option(
            "--column",
            multiple=True,
            metavar="FIELD=HEADING",
            help="Meaning of a --roster column: id, name, first, last, email, role or ignore (repeatable).",
        ),
        click.option("--students", metavar="A,B,C", help="Students' names, instead of --roster."),
        click.option(
            "--roster",
            type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
            help="Roster exported from a course platform or spreadsheet: CSV, .xlsx, .xls, .ods or an HTML table; "
            "- for standard input.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


days_option = click.option("--days", type=click.IntRange(1, 1000), help="End access after this many days.")
expires_option = click.option(
    "--expires", metavar="DATE", help="End access at the end of this day, such as 2027-02-28."
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the handouts (default: ./NAME)."
)
yes_option = click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
storage_policy_option = click.option(
    "--storage-policy",
    type=click.Choice(["keep", "remove"]),
    help="Keep or remove the students' files on the server (default: ask; with --yes: keep).",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the options of ``class create`` say; None: what was not said."""

    roster: Path | None
    students: str | None
    reading: prompts.Reading
    size: str | None
    expires: str | None
    days: int | None
    role: str | None
    teacher: tuple[str, ...]
    storage: str | None
    door: bool | None
    terminals: bool | None
    out: Path | None
    overcommit: bool
    prune: bool
    new: bool
    storage_policy: str | None

    def planned(self, existing: Class | None, people: Sequence[Person], name: str, now: datetime) -> plan.Planned:
        """The class as it is to be; raises UsageError for what can't be."""
        if self.new and existing is not None:
            raise UsageError(f"class {name} already exists", hint="choose another name, or leave out --new")
        if self.storage is not None:
            volumes.size_of(self.storage)
        return plan.merge(
            existing,
            people,
            name=name,
            now=now,
            size=sizes.find(self.size or "small") if self.size or existing is None else None,
            role=self.role or ("edit" if existing is None else None),
            expires=plan.expiry(self.expires, self.days, now),
            teachers=self.teacher,
            storage=self.storage,
            door=self.door,
            terminals=self.terminals,
        )
