"""``nodisk class codes``: what students sign in with in a browser for the first time."""

from __future__ import annotations

from datetime import datetime

import click

from nodisk import ui
from nodisk.classes import codes as doors
from nodisk.classes import handouts, prompts, record, tables
from nodisk.classes.codes import Issued, Waiting
from nodisk.classes.record import Account, Class
from nodisk.commands.class_options import dry_run_option, yes_option
from nodisk.console import address
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.model import Listen


@click.command(epilog="Example: nodisk class codes k8s --print")
@click.argument("name")
@click.argument("student", nargs=-1)
@click.option(
    "--print",
    "cards",
    is_flag=True,
    help="Write the codes to a page of cards to cut out, instead of showing them here.",
)
@click.option("--renew", is_flag=True, help="Also replace codes and passphrases that students already have.")
@click.option(
    "--days",
    type=click.IntRange(1, 120),
    default=doors.DAYS,
    show_default=True,
    help="Number of days for which the codes work.",
)
@yes_option
@dry_run_option
@output_option
@lab_options
def codes(
    *,
    options: LabOptions,
    name: str,
    student: tuple[str, ...],
    cards: bool,
    renew: bool,
    days: int,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Make codes for students' first sign-in in a browser (default: for all who need one).

    A code works once: with it, the student chooses a passphrase, and signs in with that from then on. Codes are shown
    only now; `--renew` replaces a lost code or a forgotten passphrase.
    """
    context = options.load_cluster()
    if dry_run:
        found = record.need(context.state, name)
        doors.until(found, days, record.now())
        with Database(context.state.database, reading=True) as database:
            known = doors.waiting(database.door, found, _students(found, student))
        _show(context, found, known, None, output, renew=renew)
        return
    with record.changing(context.state, name), Database(context.state.database) as database:
        found = record.need(context.state, name)
        ends = doors.until(found, days, record.now())
        known = doors.waiting(database.door, found, _students(found, student))
        due = [one.student for one in known if renew or one.needs_code]
        if cards and due and (earlier := handouts.cards_path(found, prompts.folder(found, None))).exists():
            raise UsageError(
                f"the cards of {name} that were made before are still there: {earlier}",
                hint="hand them out and delete the file (in the console: take them), then make new ones: "
                "nobody else knows their codes",
            )
        if losing := [one.student.label for one in known if renew and one.passphrase]:
            prompts.ask(f"End the passphrases and sessions of {', '.join(losing)}?", yes)
        where = address.door(context, name)
        with tables.bar("codes", len(due)) as step:
            issued = doors.issue(database.door, found, due, ends=ends, on_done=step)
        path = None
        if cards and due:
            folder = prompts.folder(found, None)
            path = handouts.write_cards(found, issued.codes, folder=folder, address=where, until=ends)
        if due:
            who = ", ".join(one.label for one in due)
            database.record(Kind.DAEMON, f"class {name}: codes for the door were made: {who}", source="nodisk")
    _show(context, found, known, issued, output, renew=renew, hidden=cards)
    if path is not None:
        ui.say(f"wrote {len(due)} cards to {path}; delete the file once they are handed out")
    for warning in _warnings(context):
        ui.say(f"warning: {warning}")


def _students(found: Class, words: tuple[str, ...]) -> list[Account]:
    return record.each_once(map(found.student, words)) if words else list(found.students)


def _show(
    context: LabContext,
    found: Class,
    known: list[Waiting],
    issued: Issued | None,
    output: str,
    *,
    renew: bool,
    hidden: bool = False,
) -> None:
    """One row per student. ``issued``: None where nothing was made; ``hidden``: on paper alone."""
    new = {} if issued is None else issued.codes

    def state(one: Waiting) -> str:
        if one.student.key in new:
            return "new code"
        return "would get a code" if issued is None and (renew or one.needs_code) else one.state

    def ends(one: Waiting) -> datetime | None:
        return issued.ends if issued is not None and one.student.key in new else one.ends

    where = _address_if_known(context, found.name)
    if output == "json":
        rows = [
            {
                "name": one.student.name,
                "label": one.student.label,
                "state": state(one),
                "code": None if hidden else new.get(one.student.key),
                "until": end.isoformat() if (end := ends(one)) else None,
            }
            for one in known
        ]
        ui.print_json({"class": found.name, "address": where, "students": rows})
        return
    if where is not None:
        ui.say(f"{found.name}: {where}")
    table = [
        [
            one.student.name,
            one.student.label,
            "-" if hidden else new.get(one.student.key, "-"),
            state(one),
            handouts.local(end) if (end := ends(one)) else "-",
        ]
        for one in known
    ]
    ui.print_table(["STUDENT", "LOGIN", "CODE", "STATE", "CODE UNTIL"], table)


def _address_if_known(context: LabContext, name: str) -> str | None:
    try:
        return address.door(context, name)
    except UsageError:
        return None


def _warnings(context: LabContext) -> list[str]:
    found = []
    if context.lab.console.listen is Listen.LOOPBACK and context.netns is None:
        found.append("only browsers on the server itself reach that address until lab.yaml says console: {listen: lab}")
    if running.pid(context.state) is None:
        found.append("the lab's server does not run: nobody can sign in until it does")
    return found
