"""The end of a class has an owner: the server's ``tick`` warns, suspends at the date, deletes after a grace period."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from nodisk.classes import accounts, actions, handouts, homes, record
from nodisk.classes.record import Class
from nodisk.context import LabContext
from nodisk.errors import Busy, describe
from nodisk.kube.client import Client, connect

log = logging.getLogger("nodisk.classes")

WARN = timedelta(days=7)
EVERY = 60.0
# A deletion that takes longer goes on at the next tick, so that a server that is told to stop isn't held up.
DELETE_LIMIT = 20.0


@dataclass(frozen=True, slots=True)
class Event:
    """What was done, or is coming."""

    class_name: str
    kind: str
    """``warned``, ``suspended``, ``deleted`` or ``failed``."""
    text: str


def due(found: Class, now: datetime) -> str:
    """What is next for a class, in words."""
    delete_at = found.expires + timedelta(days=found.grace_days)
    if now >= delete_at:
        return f"deletion due since {handouts.local(delete_at)}"
    if now >= found.expires:
        return f"ended; will be deleted {handouts.local(delete_at)}"
    if now >= found.expires - WARN:
        return f"ends soon: {handouts.local(found.expires)}"
    return f"ends {handouts.local(found.expires)}"


def tick(context: LabContext, now: datetime) -> list[Event]:
    """Do what is due by ``now`` (aware); returns what was done. For calling every minute.

    What can't be done now (the API is down, the disk is full, a class is being changed) is due again at the next call,
    and keeps no other class from its end.
    """
    events: list[Event] = []
    for name in sorted(path.stem for path in context.state.classes.glob("*.json")):
        try:
            found = record.load(context.state, name)
            if found is not None and _anything_due(found, now):
                with record.changing(context.state, name):
                    found = record.need(context.state, name)
                    events += _one(context, found, now)
        except Busy:
            continue
        except Exception as error:
            log.debug("the class %s", name, exc_info=True)
            events.append(Event(name, "failed", f"class {name} could not be ended: {describe(error)}"))
    return events


async def keep(context: LabContext, say: Callable[[str], None]) -> None:
    """``tick`` every minute until cancelled; a failure that stays the same is said once."""
    failures: set[str] = set()
    while True:
        events = await asyncio.to_thread(tick, context, record.now())
        for event in events:
            if event.kind != "failed" or event.text not in failures:
                say(event.text)
        failures = {event.text for event in events if event.kind == "failed"}
        await asyncio.sleep(EVERY)


def _anything_due(found: Class, now: datetime) -> bool:
    if now >= found.expires + timedelta(days=found.grace_days):
        return True
    if now >= found.expires:
        return not all(student.suspended for student in found.students)
    return not found.warned and now >= found.expires - WARN


def _one(context: LabContext, found: Class, now: datetime) -> list[Event]:
    if now < found.expires:
        record.save(context.state, found.model_copy(update={"warned": True}))
        text = f"class {found.name} ends {handouts.local(found.expires)}; to keep it longer, run nodisk class extend"
        return [Event(found.name, "warned", text)]
    with connect(context, patience=5) as client:
        if now >= found.expires + timedelta(days=found.grace_days):
            return [_delete(context, client, found)]
        awake = [student for student in found.students if not student.suspended]
        done = accounts.set_suspended(client, found, context.lab, awake, True)
        record.save(context.state, done.record)
        for error in done.failed.values():
            raise error
    end = handouts.local(found.expires + timedelta(days=found.grace_days))
    return [Event(found.name, "suspended", f"class {found.name} has ended and is suspended; it will be deleted {end}")]


def _delete(context: LabContext, client: Client, found: Class) -> Event:
    actions.delete(context, client, found, limit=DELETE_LIMIT, wait=False)  # the server itself is asking
    text = f"class {found.name} was deleted, {found.grace_days} days after its end"
    if kept := homes.kept(context.state, found):
        text += f"; the files of {kept} students are kept (see nodisk class storage)"
    return Event(found.name, "deleted", text)
