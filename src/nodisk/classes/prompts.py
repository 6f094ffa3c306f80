"""What ``nodisk class`` asks a person or their command line: who is meant, where handouts go, what they agree to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from nodisk import ui
from nodisk.classes import actions, capacity, homes, record
from nodisk.classes import roster as rosters
from nodisk.classes.plan import Planned
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.kube.client import Client, connect
from nodisk.kube.errors import Overloaded, Unreachable
from nodisk.kube.patience import COMMAND

DRY_RUN_WITHIN = 5.0
"""Seconds for which a dry run asks the cluster."""


class Reading(NamedTuple):
    """How the user says that a roster is read: the options ``--column``, ``--encoding`` and ``--sheet``."""

    column: tuple[str, ...]
    encoding: str | None
    sheet: str | None


@contextlib.contextmanager
def client(context: LabContext) -> Iterator[Client]:
    """The API as the administrator; closed at the end."""
    with connect(context, patience=COMMAND, say=ui.say) as client:
        yield client


def people(roster: Path | None, students: str | None, reading: Reading) -> list[Person]:
    """Who was named on the command line, one way or the other; says how a file was understood."""
    if (roster is None) == (students is None):
        raise UsageError("no students given: use either --roster FILE or --students a,b,c")
    if roster is None:
        if any(reading):
            raise UsageError("--column, --encoding and --sheet need --roster FILE")
        return rosters.from_names(students or "")
    how = rosters.hints(*reading)
    if str(roster) == "-":
        where = "standard input"
        found = rosters.examine(sys.stdin.buffer.read(rosters.MAX_BYTES + 1), where, how)
    else:
        where, found = str(roster), rosters.read(roster, how)
    for line in found.explained():
        ui.say(f"{where}: {line}")
    return list(found.people)


def folder(found: Class, out: Path | None) -> Path:
    """Where the handouts are: as was said, else where they were, else a folder of the class's name here."""
    if out is not None:
        return out.absolute()
    return Path(found.out) if found.out is not None else Path(found.name).absolute()


def chosen(found: Class, words: tuple[str, ...]) -> list[Account]:
    """Those who were named, each once; nobody was: all students."""
    return record.each_once(found.account(word) for word in words) if words else list(found.students)


def running(context: LabContext, name: str) -> Class:
    """The record of a class that has not ended; raises UsageError."""
    found = record.need(context.state, name)
    if found.expires <= record.now():
        raise UsageError(f"class {name} has ended", hint=f"nodisk class extend {name} --days 30")
    return found


def ask(question: str, yes: bool) -> None:
    """Raise UsageError unless a person, or ``--yes``, agrees."""
    if not yes and not click.confirm(question, err=True):
        raise UsageError("cancelled; nothing was changed")


def keep_storage(
    context: LabContext, found: Class, chosen: Sequence[Account] | None, policy: str | None, yes: bool
) -> bool:
    """Whether the students' files on the server are to be kept: as was said, else asked for; kept where in doubt."""
    held = homes.held(context.state, found)
    theirs = [v for key, v in held.items() if chosen is None or key in {student.key for student in chosen}]
    if policy is not None or yes or not theirs:
        return policy != "remove"
    size = homes.words(sum(homes.used(context.state, volume) for volume in theirs))
    return not click.confirm(f"Also delete their {len(theirs)} volumes ({size}) on the server?", err=True)


def say_kept(context: LabContext, found: Class, keep: bool) -> None:
    """Say what is left of a class on the server's disk."""
    if keep and (number := homes.kept(context.state, found)):
        ui.say(f"kept {number} volumes with their files; list them with nodisk class storage")


def room_if_known(context: LabContext, planned: Planned, overcommit: bool) -> None:
    """As ``room`` where the cluster answers at once; else say that sizes are unchecked: a roster needs no cluster."""
    try:
        with connect(context, patience=0, within=DRY_RUN_WITHIN) as client:
            room(context, client, planned, overcommit)
    except (EnvironmentProblem, Unreachable, Overloaded) as error:
        ui.say(f"capacity not checked, because the cluster can't be reached: {error.message}")


def room(context: LabContext, client: Client, planned: Planned, overcommit: bool) -> None:
    """Say what is asked for and what there is; raises UsageError if that is too little."""
    found = actions.weigh(client, planned, overcommit=overcommit)
    ui.say(
        f"{found.students} students of size {found.size_name}: {found.wanted}; {found.nodes} nodes have {found.there}"
    )
    if (terminals := capacity.of_terminals(planned.record)) is not None:
        ui.say(f"of these, {terminals}")
    for line in found.short:
        ui.say(f"warning: overcommitted: {line}")
    if disk := homes.room(context.state, planned.record):
        if not overcommit:
            disk.refuse()
        ui.say(f"{'warning: overcommitted: ' if disk.short else ''}{disk}")
