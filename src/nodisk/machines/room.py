"""The whole room before a lesson: armed for as long as it takes, watched until every node is Ready, disarmed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.machines import status, watch
from nodisk.machines.buttons.button import Answer, Outcome
from nodisk.machines.buttons.linux import Linux
from nodisk.machines.power import Power
from nodisk.machines.watch import Row
from nodisk.records import remarks, running
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.spec.model import Machine
from nodisk.values import Stage
from nodisk.waiting import Deadline

SILENT = 300.0
"""Seconds after which a machine of which nothing was seen is not waited for any more, unless others still come."""
INTERVAL = 0.5


@dataclass(slots=True)
class Woken:
    """What is known of the machines while they are switched on; filled by another thread."""

    answers: dict[str, Answer] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


@contextlib.contextmanager
def armed(context: LabContext, seconds: float) -> Iterator[Database]:
    """The armed window of one arrival: open for at most ``seconds``, and closed however it ends.

    One that somebody else has opened meanwhile is theirs to close: a ``room on`` by hand overtakes the timetable's.
    """
    until = time.time() + seconds
    with Database(context.state.database) as database:
        try:
            database.arm(until)
            words = f"armed for at most {seconds:g} s while the room comes up"
            database.record(Kind.DAEMON, words, source="nodisk room")
            yield database
        finally:
            if database.disarm(window=until):
                database.record(Kind.DAEMON, "disarmed", source="nodisk room")


def need_server(context: LabContext) -> None:
    """Raise EnvironmentProblem unless the lab's server answers machines."""
    if running.ready(context.state) is None:
        hint = "nodisk serve, or nodisk service install; for a virtual lab nodisk lab up"
        raise EnvironmentProblem(f"the server of {context.lab.name} is not running, or not ready yet", hint=hint)


def up_already(context: LabContext) -> dict[str, float]:
    """Machines whose node is Ready in their newest boot → when that boot began.

    In a lab without a cluster: those that were ready when they last reported, and answer ping.
    """
    found = status.collect(context).rows
    if not context.lab.has_cluster:
        return {
            str(row.machine.name): row.progress.started
            for row in found
            if row.progress.stage is Stage.READY
            and row.progress.started is not None
            and Linux(context, row.machine).seen(time.time())
        }
    return {
        str(row.machine.name): row.progress.started
        for row in found
        if row.node is not None
        and row.node.ready == "True"
        and row.progress.stage is Stage.READY
        and row.progress.started is not None
    }


def switch_on(press: Callable[[Callable[[Answer], None]], object]) -> Woken:
    """Start switching on in a thread; ``press`` is given the function to call with each answer."""
    woken = Woken()

    def hear(answer: Answer) -> None:
        woken.answers[answer.machine] = answer

    def run() -> None:
        try:
            press(hear)
        except Exception as error:
            woken.error = error
        finally:
            woken.done.set()

    threading.Thread(target=run, name="nodisk-room", daemon=True).start()
    return woken


def arrive(
    context: LabContext,
    machines: Sequence[Machine],
    database: Database,
    ready: Mapping[str, float],
    woken: Woken,
    *,
    began: float,
    deadline: Deadline,
    seen: list[Row],
) -> list[Row]:
    """Show progress until the nodes of ``machines`` are Ready, ``deadline`` has passed, or only silent ones miss.

    ``ready``: those that were so from the start. ``began`` (seconds since 1970): what machines reported before doesn't
    count; it is before the lab was armed, for one that is on may ask at once. ``seen`` holds what was seen last, also
    after Ctrl-C.
    Raises what switching on raised, or NodiskError if the server ends.
    """
    care = None
    virtual = Power(context.lab, context.state) if context.netns is not None else None
    if virtual is not None:
        care = watch.Care(virtual, database)

    def since(machine: Machine) -> float:
        name = str(machine.name)
        on = virtual.since(machine) if virtual is not None else None
        return ready.get(name, began if on is None else min(on, began))

    with watch.display() as show:
        while True:
            rows = watch.rows_since(machines, since, database)
            seen[:] = rows
            show(rows)
            if care is not None:
                care(rows)
            if woken.error is not None:
                raise woken.error
            if running.process(context.state) is None:
                raise NodiskError("the lab's server has ended", hint="nodisk serve")
            waited = [row for row in rows if not row.ready and not _silent(row, began)]
            if not waited and (woken.done.is_set() or all(row.ready for row in rows)):
                return rows
            if not deadline.pause(INTERVAL):
                return rows


def _silent(row: Row, began: float) -> bool:
    return row.progress.stage is None and time.time() - began > SILENT


def broken(context: LabContext, ready: Collection[str]) -> dict[str, str]:
    """The machines that are noted as broken → the note; without those that are Ready all the same."""
    with Database(context.state.database, reading=True) as database:
        noted = database.remarks.all(remarks.Kind.BROKEN)
    names = {str(one.name): noted.get(one.mac) for one in context.lab.machines}
    return {name: remark.note for name, remark in names.items() if remark is not None and name not in ready}


def missing(rows: Sequence[Row], answers: Mapping[str, Answer]) -> dict[str, str]:
    """The machines that are not Ready → why, as far as anybody knows."""
    return {str(row.machine.name): _why(row, answers.get(str(row.machine.name))) for row in rows if not row.ready}


def _why(row: Row, answer: Answer | None) -> str:
    way = row.progress
    if way.stage is Stage.FAILED:
        return f"failed: {way.reason}"
    if way.stage is not None:
        return f"has come as far as {way.stage}"
    if answer is None:
        return "never seen"
    if answer.already:
        return f"was on already, but does not boot from this server: nodisk power cycle {row.machine.name}"
    if answer.outcome is Outcome.CONFIRMED:
        return f"is on ({answer.detail}), but never asked for its boot: check its boot order and cable"
    return f"never seen: {answer.detail}"
