"""``nodisk timetable``: the lessons to come, and what the server does about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import click

from nodisk import ui
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import running
from nodisk.records.database import Database
from nodisk.records.events import iso
from nodisk.records.turns import Coming, Plan, Turned
from nodisk.spec import timetable as calendar
from nodisk.spec.timetable import Sitting

NEXT = 10
HEADINGS = ("DAY", "LESSON", "ROOM ON", "ROOM OFF", "NOTE")


@click.command(epilog="Example: nodisk timetable --week")
@lab_options
@output_option
@click.option("--week", is_flag=True, help="Show the next seven days, including lessons that days off cancel.")
def timetable(options: LabOptions, output: str, week: bool) -> None:
    """Show the next lessons, and when the room goes on and off.

    Shows the next ten. Times are in the timetable's time zone. `nodisk room on` and `off` override the timetable.
    """
    context = options.load()
    if context.lab.timetable is None:
        raise UsageError(
            f"{context.file} has no timetable", hint="add one: `timetable: {lessons: [mon 10:15-12:00]}` in lab.yaml"
        )
    plan, now = Plan.of(context.lab.timetable), datetime.now(UTC)
    with Database(context.state.database, reading=True) as database:
        last = database.turned()
    coming = calendar.sittings(plan.timetable, plan.where, now, days_off=week)
    end = now + timedelta(days=7)
    lessons = list(takewhile(lambda one: one.begins < end, coming) if week else islice(coming, NEXT))
    found = plan.next(now, last)
    if output == "json":
        ui.print_json(
            {
                "lab": str(context.lab.name),
                "time": iso(now.timestamp()),
                "timezone": str(plan.where),
                "outside": str(plan.timetable.outside),
                "room": _last_json(last),
                "next": None if found is None else found.to_json(),
                "lessons": [_json(plan, one) for one in lessons],
            }
        )
        return
    click.echo(_summary(found, plan, server=running.pid(context.state) is not None))
    ui.print_table(HEADINGS, [_cells(plan, one) for one in lessons])


def _summary(found: Coming | None, plan: Plan, *, server: bool) -> str:
    if found is None:
        return "There are no more lessons: the timetable switches nothing."
    text = f"Next: the room is switched {found.words(plan.where)} ({plan.where} time)."
    return text if server else f"{text} But the server is stopped: nothing is switched until nodisk serve runs."


def _last_json(last: Turned | None) -> dict[str, Any] | None:
    if last is None:
        return None
    by = "command" if last.by_hand else "timetable"
    return {"turn": str(last.turn), "since": iso(last.time), "by": by, "done": last.done}


def _json(plan: Plan, one: Sitting) -> dict[str, Any]:
    off, window = plan.cancelled(one), plan.window(one.begins)
    return {
        "lesson": str(one.lesson),
        "date": one.day.isoformat(),
        "begins": iso(one.begins.timestamp()),
        "ends": iso(one.ends.timestamp()),
        "on": None if off or window is None else iso(window.on.timestamp()),
        "off": None if off or window is None else iso(window.off.timestamp()),
        "day_off": off,
    }


def _cells(plan: Plan, one: Sitting) -> tuple[str, ...]:
    begins, ends = (moment.astimezone(plan.where) for moment in (one.begins, one.ends))
    hours = f"{begins:%H:%M}-{ends:%H:%M}"
    day, lesson = f"{one.day:%a %Y-%m-%d}", one.lesson.hours
    window = plan.window(one.begins)
    if plan.cancelled(one):
        return day, lesson, "", "", "day off"
    on, off = (
        ("", "") if window is None else (f"{moment.astimezone(plan.where):%H:%M}" for moment in (window.on, window.off))
    )
    moved = begins.utcoffset() != ends.utcoffset() or hours != lesson.replace("24:00", "00:00")
    note = f"the clocks change: {hours}" if moved else ""
    return day, lesson, on, off, note
