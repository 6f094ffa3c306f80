"""``nodisk events``."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import click

from nodisk import ui
from nodisk.commands.durations import span
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind
from nodisk.spec.lookup import machine_named


@click.command(epilog="Example: nodisk events --follow --machine w1 --since 10m")
@lab_options
@output_option
@click.option(
    "-f", "--follow", is_flag=True, help="Follow until Ctrl-C; with --output json, print one object per line."
)
@click.option("--machine", "name", metavar="NAME", help="Show only events of this machine.")
@click.option("--since", metavar="SPAN|TIME", help="Show events newer than this: 10m, 2h, or an ISO 8601 time.")
@click.option("--alarms", is_flag=True, help="Show only alarms.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Show at most this many of the newest events.",
)
def events(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, follow: bool, name: str | None, since: str | None, alarms: bool, limit: int
) -> None:
    """Show what happened, and when."""
    context = options.load()
    mac = None if name is None else machine_named(context.lab, name).mac
    kinds = (Kind.ALARM,) if alarms else ()
    found = _read(context, since=_since(since), mac=mac, kinds=kinds, limit=limit)
    if not follow:
        if output == "json":
            ui.print_json({"events": [event.to_json() for event in found]})
        else:
            ui.print_table(["TIME", "MACHINE", "WHAT", "DETAIL", "FROM"], map(_row, found))
        return
    last = max((event.id for event in found or _read(context, limit=1)), default=0)
    while True:
        for event in found:
            last = event.id
            click.echo(json.dumps(event.to_json(), ensure_ascii=False) if output == "json" else _line(event))
        time.sleep(0.3)
        found = _read(context, after=last, mac=mac, kinds=kinds)


def _read(context: LabContext, **wanted: Any) -> list[Event]:
    """Events of ``Database.events``; the file is opened again each time, because it may appear or be replaced."""
    with Database(context.state.database, reading=True) as database:
        return database.events(**wanted)


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    if (seconds := span(text)) is not None:
        return time.time() - seconds
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is neither a duration (10m) nor a time (2026-10-01T09:30)") from error


def _row(event: Event) -> tuple[str, str, str, str, str]:
    when = datetime.fromtimestamp(event.time).astimezone()
    who = event.machine or (str(event.mac) if event.mac else "")
    what = str(event.stage or event.kind)
    return (f"{when:%Y-%m-%d %H:%M:%S}", who, what, event.detail, event.source)


def _line(event: Event) -> str:
    when, who, what, detail, source = _row(event)
    return f"{when}  {who:<17} {what:<9} {detail or '-'}  ({source})"
