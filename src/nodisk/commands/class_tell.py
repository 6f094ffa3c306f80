"""``nodisk class tell``: a message to a class."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from nodisk import ui
from nodisk.classes import handouts, record
from nodisk.classes.record import Class
from nodisk.commands.class_options import dry_run_option
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import messages
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.messages import Message

STDIN = "-"


@click.command(epilog="Example: nodisk class tell k8s 'Hand in by noon.'; then: nodisk class tell k8s --withdraw")
@click.argument("name")
@click.argument("text", required=False)
@click.option("--by", default="", metavar="NAME", help="Name of the sender, shown with the message.")
@click.option("--withdraw", is_flag=True, help="Withdraw the current message.")
@dry_run_option
@output_option
@lab_options
def tell(
    *, options: LabOptions, name: str, text: str | None, by: str, withdraw: bool, dry_run: bool, output: str
) -> None:
    """Show a message to a class, on each student's page in the browser.

    TEXT has up to 500 characters (- reads it from standard input). It is shown for a day or until --withdraw; a later
    message replaces it. With only NAME, prints the current message.
    """
    if withdraw and text is not None:
        raise UsageError("--withdraw takes no text", hint=f"nodisk class tell {name} --withdraw")
    told = None if text is None else _message(sys.stdin.read(4 * messages.LONGEST) if text == STDIN else text)
    context = options.load_cluster()
    found = record.need(context.state, name)
    if told is not None and not found.door:
        raise UsageError(
            f"class {name} doesn't let students sign in with a browser", hint=f"nodisk class create {name} … --door"
        )
    changes = not dry_run and (withdraw or told is not None)
    with Database(context.state.database, reading=not changes) as database:
        if changes and told is not None:
            who = messages.name(by)
            database.messages.tell(name, told, who)
            database.record(Kind.DAEMON, f"class {name} is told by {who or 'nodisk'}: {told}", source="nodisk")
        elif changes and database.messages.withdraw(name):
            database.record(Kind.DAEMON, f"class {name}: the message was withdrawn", source="nodisk")
        now = database.messages.current(name, made=found.created.timestamp())
    if dry_run:
        click.echo(f"would withdraw what class {name} is told" if withdraw else f"would tell class {name}: {told}")
        return
    _show(found, now, output)


def _message(text: str) -> str:
    try:
        return messages.message(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _show(found: Class, now: Message | None, output: str) -> None:
    if output == "json":
        ui.print_json({"class": found.name, "message": None if now is None else now.to_json()})
    elif now is None:
        ui.say(f"class {found.name} is told nothing")
    else:
        click.echo(now.text)
        by = f" by {now.who}" if now.who else ""
        ui.say(f"told{by}, until {handouts.local(datetime.fromtimestamp(now.until, UTC))}")
