"""``nodisk serve``, ``arm``, ``disarm``, ``events``."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from nodisk import interrupts, run, ui
from nodisk.backup import schedule
from nodisk.classes import expiry
from nodisk.console import listen
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records.database import Database
from nodisk.records.events import Event, Kind, iso
from nodisk.records.turns import Plan
from nodisk.server import host
from nodisk.server.room_switch import room_switch
from nodisk.server.serve import Server
from nodisk.server.timetable import Keeper
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Lab

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 365 * 86400.0
"""Seconds of an armed window that ends."""


class Duration(click.ParamType[float]):
    """``90s``, ``15m``, ``2h``, ``1d``, and ``always`` for a window without an end; seconds come out."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of a text."""
        if isinstance(value, float):
            return value
        if value == "always":
            return float("inf")
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"invalid duration {value!r}: use a form like 90s, 15m, 2h or 1d", param, ctx)
        seconds = float(match.group(1)) * _SECONDS[match.group(2)]
        if seconds > LONGEST:
            self.fail(f"{value!r} is too long: use at most 365d, or always", param, ctx)
        return seconds


@click.command(epilog="Example: nodisk serve --lab lab.yaml")
@lab_options
def serve(options: LabOptions) -> None:
    """Run the lab's server in the foreground.

    Starts dnsmasq, nginx, etcd, docker-registry, chronyd, unbound (where the release has no CoreDNS) and nodisk's own
    HTTP service and console, restarts any that die, and stops them all on Ctrl-C or SIGTERM. SIGHUP reloads lab.yaml
    and the PKI; daemons for which nothing has changed go on.

    If lab.yaml has a timetable, the room is switched on before each lesson and off after it.
    """
    # Until the server has handlers of its own, a signal just ends this process. An exception would be lost where it
    # comes amid an import, in a callback whose exceptions are ignored, and the server would start after all.
    interrupts.uninstall()

    context = options.load()
    if context.netns is not None and not host.holds_address(context.lab.network.server):
        words = ["--lab", str(context.file), "--state", str(options.state.root)]
        run.replace([sys.executable, "-m", "nodisk", "serve", *words], netns=context.netns)

    async def end_classes(lab: Lab, say: Callable[[str], None]) -> None:
        if lab.has_cluster:
            await expiry.keep(LabContext(lab, context.file, context.state, None), say)

    async def keep_timetable(lab: Lab, say: Callable[[str], None]) -> None:
        if lab.timetable is not None:
            with Database(context.state.database) as database:
                act = room_switch(context.file, options.state.root)
                await Keeper(Plan.of(lab.timetable), database, act, say).run()

    async def back_up(lab: Lab, say: Callable[[str], None]) -> None:
        await schedule.keep(LabContext(lab, context.file, context.state, None), say)

    beside = {
        "ending classes": end_classes,
        "the timetable": keep_timetable,
        "scheduled backups": back_up,
    }
    console = listen.Listening(LabContext(context.lab, context.file, context.state, None))
    Server(context.state, lambda: options.load().lab, beside, {"the console": console}).run()


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
    with _database(context) as database:
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
    with _database(context) as database:
        database.disarm()
        _note(database, "disarmed")
        _show_window(database, output)


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


def _database(context: LabContext) -> Database:
    return Database(context.state.database)


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


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    if match := _DURATION.fullmatch(text):
        return time.time() - float(match.group(1)) * _SECONDS[match.group(2)]
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
