"""``nodisk status``: what the server's records and the API say of each machine, joined into one row.

The JSON of it is documented in docs/reference/status.md and tested; it only ever gains keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nodisk import ui
from nodisk.assets import built
from nodisk.context import LabContext
from nodisk.kube.leaders import Leaders
from nodisk.kube.patience import Say, unheard
from nodisk.machines import pace as paces
from nodisk.machines.asked import ANSWER_WITHIN, Api, Asked, NodeView, ask
from nodisk.machines.history import History, Past
from nodisk.machines.pace import Pace
from nodisk.pki.profiles import MACHINE_LIFETIME
from nodisk.records import backups, isolation, remarks, running
from nodisk.records.backups import Backups
from nodisk.records.database import Database, Enrolment
from nodisk.records.events import FETCHES_WITHIN, Kind, Progress, iso
from nodisk.records.isolation import Tried
from nodisk.records.printed import Printed
from nodisk.records.remarks import Remark
from nodisk.records.turns import Coming, Plan
from nodisk.spec.model import Lab, Machine
from nodisk.values import Stage

EXPIRES_SOON = 3 * 86400.0
"""Seconds before its certificates end at which a machine gets a warning."""
RECENT_ALARMS = 24 * 3600.0
"""Seconds for which an alarm is counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One machine."""

    machine: Machine
    progress: Progress
    node: NodeView | None
    """None: the API knows no such node, or didn't say (``Status.api``)."""
    ram: Mapping[str, int] | None
    loaded: Mapping[str, int]
    enrolment: Enrolment | None
    mbps: int | None
    """What it loaded from the server in a second when it was last measured, in Mbit; None: it never was."""
    limit: float | None
    """Seconds at this stage after which there is a warning; None: it may stay there."""
    warning: str
    broken: Remark | None
    """None: nobody has noted that its PC is broken."""
    printed: Printed | None
    """What it printed last while it booted; None: it has sent nothing."""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    lab: Lab
    time: float
    rows: tuple[Row, ...]
    api: Api
    api_words: str
    server: bool
    """Whether the lab's server runs."""
    armed_until: float | None
    alarms: int
    """In the last 24 hours."""
    unknown: int
    """Machines that lab.yaml doesn't know and that asked for a boot script in the last 24 hours; not ignored ones."""
    coming: Coming | None
    """What the timetable does next; None: nothing, or there is none."""
    isolation: Tried | None
    """What came of the last attempt of a student's pod to reach another's; None: nobody has tried."""
    backup: Backups
    backup_problem: str
    """What is wrong with the scheduled backups; '' for nothing."""
    leaders: Leaders | None
    """Whose controllers act; None where only one control plane could lead, or the API doesn't answer."""
    pace: Pace
    """How long stages take here."""


def collect(
    context: LabContext, *, now: Callable[[], float] = time.time, wait: float = ANSWER_WITHIN, say: Say = unheard
) -> Status:
    """Ask the records and the API; works with the server or the API down.

    ``wait``: seconds for which the API's answer is waited for; ``say`` is told once that takes long.
    """
    return of_records(context, ask(context, wait=wait, say=say), now=now)


def of_records(
    context: LabContext, asked: Asked, *, now: Callable[[], float] = time.time, history: History | None = None
) -> Status:
    """The records as they are now, with an answer of the API that may be some seconds old.

    ``history``: what the caller's last look has read; it is read on.
    """
    history = History() if history is None else history
    cluster = context.lab.has_cluster
    with Database(context.state.database, reading=True) as database:
        armed_until = database.armed_until() if database.armed() else None
        broken = database.remarks.all(remarks.Kind.BROKEN)
        ignored = database.remarks.all(remarks.Kind.IGNORED)
        history.read(database, {one.mac for one in context.lab.machines})
        pasts = history.machines
        links = database.inventories.links()
        pace = paces.pace((one.role, pasts[one.mac].boots) for one in context.lab.machines)

        def row(one: Machine) -> Row:
            of, link = broken.get(one.mac), links.get(one.mac)
            return _row(one, database, asked, now(), broken=of, past=pasts[one.mac], pace=pace, mbps=link)

        rows = tuple(row(one) for one in context.lab.machines)
        alarms = database.events(kinds=(Kind.ALARM,), since=now() - RECENT_ALARMS)
        recent = (one.mac for one in database.sightings.all() if one.last > now() - RECENT_ALARMS)
        timetable = context.lab.timetable
        plan = None if timetable is None else Plan.of(timetable)
        coming = None if plan is None else plan.next(datetime.fromtimestamp(now(), UTC), database.turned())
        unknown = sum(context.lab.by_mac(mac) is None and mac not in ignored for mac in recent)
    runs = running.pid(context.state) is not None
    of = built.cluster(context.state.state, context.lab)
    tried = isolation.last(context.state, of=of) if cluster else None
    return Status(
        context.lab,
        now(),
        rows,
        asked.api,
        asked.words,
        runs,
        armed_until,
        len(alarms),
        unknown,
        coming,
        tried,
        backups.read(context.state),
        backups.problem(context.lab, context.state, now()),
        asked.leaders,
        pace,
    )


def _row(
    machine: Machine,
    database: Database,
    asked: Asked,
    now: float,
    *,
    broken: Remark | None,
    past: Past,
    pace: Pace,
    mbps: int | None,
) -> Row:
    way = past.way.now
    node = asked.nodes.get(str(machine.name))
    if node is not None and way.stage is not None and node.boot_id != way.boot_id:
        node = replace(node, ready="Unknown")  # the object of an earlier boot says nothing
    # A plain machine has no certificates that could end.
    enrolment = database.enrolment(machine.mac) if asked.api is not Api.NONE else None
    limit = FETCHES_WITHIN if way.stage is Stage.DHCP else pace.limit(machine.role, way.stage)
    return Row(
        machine,
        way,
        node,
        database.ram(machine.mac),
        database.traffic(machine.mac),
        enrolment,
        mbps,
        limit,
        _warning(way, enrolment, limit, now) if way.stage is not Stage.DHCP else past.asking.fetched_nothing(now),
        broken,
        database.printed.of(machine.mac),
    )


def _warning(way: Progress, enrolment: Enrolment | None, limit: float | None, now: float) -> str:
    if way.stage is Stage.FAILED:
        return way.reason
    if limit is not None and way.since is not None and now - way.since >= limit:
        return f"at this stage for {ui.span(now - way.since)}: check its screen; if it hangs, power-cycle it"
    if enrolment is None or way.stage not in (Stage.ENROLLED, Stage.JOINED, Stage.READY):
        return ""
    left = enrolment.expires - now
    if left <= 0:
        return "its certificates have expired: reboot it"
    if left <= EXPIRES_SOON:
        return f"its certificates expire in {left / 3600:.0f} hours (valid for {MACHINE_LIFETIME.days} days): reboot it"
    return ""


def to_json(status: Status) -> dict[str, Any]:
    """The documented shape."""
    ready = sum(row.progress.stage is Stage.READY for row in status.rows)
    failed = sum(row.progress.stage is Stage.FAILED for row in status.rows)
    until = status.armed_until
    return {
        "lab": str(status.lab.name),
        "time": iso(status.time),
        "server": "running" if status.server else "stopped",
        "api": str(status.api) if status.api in (Api.ANSWERS, Api.NONE) else "unknown",
        "api_problem": None if status.api in (Api.ANSWERS, Api.NONE) else str(status.api),
        "armed": until is not None,
        "armed_until": None if until is None or until == float("inf") else iso(until),
        "alarms": status.alarms,
        "unknown": status.unknown,
        "leaders": None if status.leaders is None else dict(status.leaders),
        "timetable": None if status.coming is None else status.coming.to_json(),
        "isolation": _isolation_json(status.isolation),
        "backup": {
            "made": None if status.backup.made is None else iso(status.backup.made),
            "proved": None if status.backup.proved is None else iso(status.backup.proved),
            "problem": status.backup_problem or None,
        },
        "counts": {"machines": len(status.rows), "ready": ready, "failed": failed},
        "machines": [_machine_json(row, status.api) for row in status.rows],
    }


def _isolation_json(tried: Tried | None) -> dict[str, str] | None:
    if tried is None:
        return None
    return {"verdict": tried.verdict, "happened": tried.happened, "time": iso(tried.time)}


def _machine_json(row: Row, api: Api) -> dict[str, Any]:
    way, machine = row.progress, row.machine
    return {
        "name": str(machine.name),
        "mac": str(machine.mac),
        "address": str(machine.address),
        "role": str(machine.role),
        "stage": None if way.stage is None else str(way.stage),
        "since": None if way.since is None else iso(way.since),
        "booted": None if way.started is None else iso(way.started),
        "boot_id": way.boot_id,
        "reason": way.reason or None,
        "limit": row.limit,
        "stages": {str(stage): iso(at) for stage, at in way.times},
        "node": node_word(row, api),
        "version": row.node.version if row.node else None,
        "closed": row.node.closed if row.node else None,
        "ram": None if row.ram is None else dict(row.ram),
        "loaded": dict(row.loaded),
        "certificates_expire": None if row.enrolment is None else iso(row.enrolment.expires),
        "warning": row.warning or None,
        "broken": None if row.broken is None else row.broken.to_json(),
        "printed": None if row.printed is None else row.printed.last,
    }


def node_word(row: Row, api: Api) -> str:
    """``ready``, ``not ready``, ``unknown``, ``absent``, or ``none`` in a lab without a cluster."""
    if api is Api.NONE:
        return "none"
    if api is not Api.ANSWERS:
        return "unknown"
    if row.node is None:
        return "absent"
    return {"True": "ready", "False": "not ready"}.get(row.node.ready, "unknown")
