"""``nodisk room``: on before a lesson, off after it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from nodisk import ui
from nodisk.commands import switching
from nodisk.commands.durations import Duration
from nodisk.commands.verify import prove
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, TimedOut, UsageError
from nodisk.kube import drain
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError
from nodisk.machines import room as room_
from nodisk.machines.buttons.button import Answer, Wish
from nodisk.machines.buttons.press import Way
from nodisk.machines.remains import need_root
from nodisk.machines.watch import Row
from nodisk.records.database import Database
from nodisk.records.elsewhere import Other
from nodisk.records.events import Kind, iso
from nodisk.records.turns import Turned
from nodisk.spec.timetable import Turn
from nodisk.values import Mac, Role
from nodisk.waiting import Deadline

LONGEST = 30 * 60.0
"""Seconds for which a room is waited for, unless told otherwise."""
GRACE = 15.0
"""Seconds in which those that are still asked may say why a machine is missing."""


_by_timetable = click.option("--by-timetable", is_flag=True, hidden=True, help="The server's own call.")


@click.group()
def room() -> None:
    """Switch the whole room on before a lesson, and off after it.

    Works for a real room while nodisk serve runs, and for a virtual lab.
    """


@room.command(epilog="Example: nodisk room on --for 20m")
@lab_options
@output_option
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    default=LONGEST,
    help="How long to stay armed and wait, at most.  [default: 30m]",
)
@switching.stagger_option()
@click.option("--no-proof", is_flag=True, help="Stop once all nodes are Ready; skip the test of the cluster.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@_by_timetable
def on(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    seconds: float,
    stagger: float,
    no_proof: bool,
    dry_run: bool,
    by_timetable: bool,
) -> None:
    """Arm, switch every machine on, wait until all are Ready, disarm, and test the cluster.

    Reports every machine that is missing, and why. The lab is disarmed however the command ends, even by Ctrl-C. Once
    all others are Ready, a machine that has given no sign of life for five minutes is no longer waited for. Machines
    marked as broken (nodisk machines broken) are left alone.

    lab.yaml's timetable won't switch the room off before --for has elapsed; outside lessons, it waits until the end of
    the next lesson.
    """
    context = options.load()
    if seconds == float("inf"):
        raise UsageError("--for always would wait forever: give a time", hint="nodisk room on --for 90m")
    room_.need_server(context)
    if dry_run:
        click.echo(f"would arm {context.lab.name} for at most {seconds / 60:.0f} min, and disarm it once all are Ready")
        left = room_.broken(context, ())
        switching.would(context, [one for one in context.lab.machines if str(one.name) not in left], "switch on")
        _say_broken(left)
        return
    need_root()
    if not by_timetable:
        _by_hand(context, Turn.ON, hold=time.time() + seconds)
    rows, answers, broken, took = _arrive(context, seconds, stagger)
    lost = room_.missing(rows, answers)
    ready = [row for row in rows if row.ready]
    _report(output, took, ready, lost, broken)
    if ready and context.lab.has_cluster:
        _open(context, [str(row.machine.name) for row in ready])
    if (
        context.lab.has_cluster
        and not no_proof
        and ready
        and {row.machine.role for row in ready} >= {row.machine.role for row in rows}
    ):
        prove(context, quiet=output == "json")
    if lost:
        raise TimedOut(
            f"{len(lost)} of {len(rows)} machines are missing:\n"
            + "\n".join(f"  {name}: {why}" for name, why in lost.items()),
            hint="once they are fixed, run nodisk room on again: it leaves alone those that are Ready",
        )


def _by_hand(context: LabContext, turn: Turn, *, hold: float = 0.0) -> None:
    """What the timetable then leaves alone."""
    with Database(context.state.database) as database:
        database.turn(Turned(turn, time.time(), by_hand=True, hold=hold))


def _arrive(
    context: LabContext, seconds: float, stagger: float
) -> tuple[list[Row], dict[str, Answer], dict[str, str], float]:
    """The room's arrival, in its armed window; says how far it got if it is interrupted.

    Machines marked as broken are neither switched on nor waited for; they are returned, with their notes.
    """
    began, since, deadline = time.monotonic(), time.time(), Deadline(seconds)
    ready = room_.up_already(context)
    broken = room_.broken(context, ready)
    machines = [machine for machine in context.lab.machines if str(machine.name) not in broken]
    wanted = [machine for machine in machines if str(machine.name) not in ready]
    rows: list[Row] = []
    if ready:
        ui.say(f"Ready already: {', '.join(ready)}")
    _say_broken(broken)
    try:
        with room_.armed(context, seconds) as database:
            way = Way(min(switching.WITHIN, seconds), stagger)
            woken = room_.switch_on(lambda hear: switching.press_machines(context, wanted, Wish.ON, way, hear=hear))
            rows = room_.arrive(context, machines, database, ready, woken, began=since, deadline=deadline, seen=rows)
    except KeyboardInterrupt:
        up = [str(row.machine.name) for row in rows if row.ready]
        ui.say(f"interrupted: the lab is disarmed; {len(up)} of {len(machines)} machines are Ready")
        raise
    took = time.monotonic() - began
    woken.done.wait(GRACE)
    return rows, dict(woken.answers), broken, took


def _say_broken(broken: Mapping[str, str]) -> None:
    for name, note in broken.items():
        ui.say(f"{name} is left alone because it is broken: {note}")


def _open(context: LabContext, names: list[str]) -> None:
    """What an interrupted ``room off`` may have left closed to pods."""
    try:
        with connect(context, patience=10.0) as client:
            opened = drain.reopen(client, names)
    except ApiError as error:
        ui.say(f"nobody looked whether a node is closed to pods: {error.message}")
        return
    if opened:
        ui.say(f"opened to pods again: {', '.join(opened)}")


def _report(output: str, took: float, ready: list[Row], lost: dict[str, str], broken: dict[str, str]) -> None:
    if output == "json":
        names = [str(row.machine.name) for row in ready]
        found = {"seconds": round(took, 1), "ready": names, "missing": lost, "broken": broken, "armed": False}
        ui.print_json(found)
    else:
        click.echo(f"{len(ready)} machines Ready after {took:.0f} s; the lab is disarmed")


@room.command(epilog="Example: nodisk room off")
@lab_options
@output_option
@click.option("--no-drain", is_flag=True, help="Shut nodes down without draining them first.")
@switching.within_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@_by_timetable
def off(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, no_drain: bool, within: float, dry_run: bool, by_timetable: bool
) -> None:
    """Disarm, drain the workers, shut them down, then the control plane, and check that they are off.

    A PC that booted its own disk, or another system from the menu, is left alone: somebody may be working at it.

    The cluster loses nothing: its objects are on the server's disk. Pods without a controller are not evicted, because
    that would delete them; they run again on their node after its next boot.

    If this is during a lesson of lab.yaml's timetable, the room stays off until the next lesson.
    """
    context = options.load()
    other = _elsewhere(context)
    workers, planes = (
        [one for one in context.lab.by_role(role) if one.mac not in other] for role in (Role.WORKER, Role.CONTROL_PLANE)
    )
    left = {str(one.name): other[one.mac] for one in context.lab.machines if one.mac in other}
    if output != "json":
        for name, what in left.items():
            ui.say(f"{name}: left alone: it was given {what.entry} of its menu at {iso(what.since)}, not the lab")
    if dry_run:
        switching.would(context, (*workers, *planes), "shut down")
        return
    need_root()
    if not by_timetable:
        _by_hand(context, Turn.OFF)
    with Database(context.state.database) as database:
        database.disarm()
        database.record(Kind.DAEMON, "disarmed; the room is switched off", source="nodisk room")
    way = Way(within)
    drains = context.lab.has_cluster and not no_drain
    with switching.drained(context, workers if drains else ()):
        answers = switching.press_machines(context, workers, Wish.OFF, way, output)
    answers += switching.press_machines(context, planes, Wish.OFF, way, output)
    switching.show(answers, output, left_alone={name: what.entry for name, what in left.items()})
    try:
        switching.judge(answers)
    except NodiskError as error:
        error.hint = "look at those machines, or cut their power: nodisk power off NAME --cut"
        raise
    beside = f"; left alone: {', '.join(left)} (nodisk power off NAME)" if left else ""
    ui.say(f"the room is off: {len(answers)} machines, each confirmed{beside}")


def _elsewhere(context: LabContext) -> Mapping[Mac, Other]:
    """The machines that were last told to start something other than the lab."""
    with Database(context.state.database, reading=True) as database:
        return database.elsewhere.all()
