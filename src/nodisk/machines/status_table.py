"""``nodisk status`` for people: the line on top, and one row per machine."""

from __future__ import annotations

from datetime import datetime

from nodisk import ui
from nodisk.kube import leaders
from nodisk.machines.asked import Api
from nodisk.machines.status import Row, Status, node_word, to_json
from nodisk.records import isolation
from nodisk.spec import timetable as calendar

HEADINGS = ("NAME", "STAGE", "SINCE", "ADDRESS", "ROLE", "NODE", "VERSION", "RAM FREE", "WARNING")


def table(status: Status) -> list[tuple[str, ...]]:
    """The rows for people, under HEADINGS."""
    return [_cells(row, status) for row in status.rows]


def summary(status: Status) -> str:
    """The line on top."""
    counts = to_json(status)["counts"]
    words = [f"{status.lab.name}: {counts['ready']} of {counts['machines']} machines ready"]
    numbers = {"failed": counts["failed"], "broken": sum(row.broken is not None for row in status.rows)}
    words += [f"{number} {word}" for word, number in numbers.items() if number]
    words.append("server runs" if status.server else "server is stopped")
    words.append(status.api_words)
    if status.api is Api.SLOW and counts["ready"] == counts["machines"]:
        words.append("the server last saw every node Ready")
    if status.leaders is not None:
        words.append(leaders.words(status.leaders))
    if status.armed_until is None:
        words.append("disarmed")
    elif status.armed_until == float("inf"):
        words.append("armed until disarmed")
    else:
        words.append(f"armed for {ui.span(status.armed_until - status.time)}")
    if status.coming is not None and status.lab.timetable is not None:
        words.append(f"the timetable switches the room {status.coming.words(calendar.zone(status.lab.timetable))}")
    if status.isolation is None and status.api is Api.ANSWERS:
        words.append("nobody has tried whether students' pods are kept apart (nodisk verify --only isolation)")
    elif status.isolation is not None:
        when = ui.span(status.time - status.isolation.time)
        words.append(f"students' pods {isolation.WORDS[status.isolation.verdict]} (tested {when} ago)")
    if status.unknown:
        asked = "an unknown machine" if status.unknown == 1 else f"{status.unknown} unknown machines"
        words.append(f"{asked} asked (nodisk machines list)")
    if status.backup_problem:
        words.append(f"BACKUP: {status.backup_problem}")
    if status.alarms:
        words.append(f"{status.alarms} ALARMS in 24 hours (nodisk events --alarms)")
    return ", ".join(words)


def _cells(row: Row, status: Status) -> tuple[str, ...]:
    way, machine, ram = row.progress, row.machine, row.ram
    free = f"{ram['available']} of {ram['total']} MiB" if ram and {"available", "total"} <= set(ram) else ""
    return (
        str(machine.name),
        "never seen" if way.stage is None else str(way.stage),
        "" if way.since is None else f"{ui.span(status.time - way.since)} ago",
        str(machine.address),
        str(machine.role),
        node_word(row, status.api),
        (row.node.version or "") if row.node else "",
        free,
        "; ".join(words for words in (row.broken and f"broken: {row.broken.note}", row.warning) if words),
    )


def clock(seconds: float) -> str:
    """The time of day, for ``--watch``."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%H:%M:%S}"
