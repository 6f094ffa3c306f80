"""``nodisk arm`` and ``disarm``."""

from __future__ import annotations

import time
from datetime import datetime

import click

from nodisk import ui
from nodisk.commands.durations import Duration
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.records.database import Database
from nodisk.records.events import Kind, iso


@click.command(epilog="Example: nodisk arm --for 15m")
@lab_options
@output_option
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    default=900.0,
    help="Duration such as 90s, 15m, 2h or 1d, or always (until disarm).  [default: 15m]",
)
def arm(options: LabOptions, output: str, seconds: float) -> None:
    """Allow machines to enrol for a limited time.

    To become a node, a machine must fetch its boot script and enrol within this time. At any other time, it boots and
    reports that it can't join.
    """
    context = options.load()
    with Database(context.state.database) as database:
        database.arm(time.time() + seconds)
        _note(database, "armed " + ("until disarmed" if seconds == float("inf") else f"for {seconds:g} s"))
        _show_window(database, output)


@click.command(epilog="Example: nodisk disarm")
@lab_options
@output_option
def disarm(options: LabOptions, output: str) -> None:
    """Stop machines from enrolling.

    Machines that have already joined stay in the cluster until they are powered off.
    """
    context = options.load()
    with Database(context.state.database) as database:
        database.disarm()
        _note(database, "disarmed")
        _show_window(database, output)


def _note(database: Database, text: str) -> None:
    database.record(Kind.DAEMON, text, source="nodisk")


def _show_window(database: Database, output: str) -> None:
    until, armed = database.armed_until(), database.armed()
    forever = until == float("inf")
    if output == "json":
        ui.print_json({"armed": armed, "until": iso(until) if armed and until and not forever else None})
    elif not armed:
        click.echo("The lab is disarmed: no machine can enrol.")
    elif forever or until is None:
        click.echo(
            "The lab is armed until `nodisk disarm`: anyone who boots as one of its machines on its network can enrol."
        )
    else:
        click.echo(f"The lab is armed until {datetime.fromtimestamp(until).astimezone():%H:%M:%S}.")
