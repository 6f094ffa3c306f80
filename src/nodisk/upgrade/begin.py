"""What an upgrade's journal begins with, and what the store must keep until it is over."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from nodisk import files
from nodisk.assets import built, holds
from nodisk.assets.holds import Build
from nodisk.assets.store import disk_errors
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.records import running
from nodisk.upgrade import journal as journals
from nodisk.upgrade import look
from nodisk.upgrade.journal import LOCK, Journal
from nodisk.upgrade.plan import Runs, Wave, plan
from nodisk.waiting import Deadline, until

SERVES_WITHIN = 300.0
"""Seconds for the server to load both builds."""


def current(context: LabContext) -> Build:
    """The current build; raises EnvironmentProblem where nothing is built for lab.yaml."""
    return Build.of(built.manifests(context.state.state, context.lab).values())


def lock(context: LabContext) -> AbstractContextManager[None]:
    """Held by the one upgrade of a lab; raises Busy that says who holds it."""
    return files.lock(context.state.root / LOCK, f"the upgrade of {context.lab.name}")


def begin(context: LabContext, wave: Wave, old: Journal | None) -> Journal:
    """The journal to go on with: the one that there is, or a new one if none leads to the current build.

    What machines had before an upgrade that was given up, for a newer build or on its way back, is what they go back to
    from the new one, too.
    """
    new = current(context).key
    if old is not None and old.new == new and not old.back:
        return old
    found = look.machines(context.state.state, context.lab)
    before = {name: one.key for name, one in look.had(context.state.state, context.lab).items() if one is not None}
    steps = plan(found, wave).steps
    going = {one.name for one in found if one.runs is Runs.OLD}
    known = {name: key for name, key in before.items() if name in going} | dict(old.before if old is not None else {})
    return Journal(new, steps, known)


def without_strangers(context: LabContext, journal: Journal) -> Journal:
    """The journal without machines that have left lab.yaml since: nobody waits for them."""
    steps = (tuple(name for name in step if context.lab.machine(name) is not None) for step in journal.steps)
    return replace(journal, steps=tuple(step for step in steps if step))


def keep(context: LabContext, journal: Journal) -> None:
    """Hold every machine whose turn has not come at what it has, or one that loses its power would overtake.

    The server then hands out both builds. Raises EnvironmentProblem if the store lost a file, or the disk is full.
    """
    if not journal.back:
        had = look.had(context.state.state, context.lab)
        waiting = {name for step in journal.left for name in step} - {*journal.away}
        wishes = {
            machine.mac: build
            for machine in context.lab.machines
            if str(machine.name) in waiting and (build := had[str(machine.name)]) is not None
        }
        with disk_errors(context.state.root):
            holds.change(context.state, wishes, forget=False)


def serve(context: LabContext) -> None:
    """Have the running server serve the current build beside those that are held; raises NodiskError if it refuses."""
    plan_ = built.fingerprint(context.state, context.lab)
    builds = holds.read(context.state).builds.values()

    def serves() -> bool:
        ready = running.ready(context.state)
        return ready is not None and ready.plan == plan_ and all(one.rootfs in ready.objects for one in builds)

    if running.ready(context.state) is None:
        raise EnvironmentProblem(
            f"the server of {context.lab.name} is not running, or not ready yet",
            hint="nodisk serve, or nodisk service install; for a virtual lab nodisk lab up",
        )
    if serves():
        return
    running.reload(context.state)
    if not until(serves, Deadline(SERVES_WITHIN), every=0.2):
        raise NodiskError("the server did not load the new build", hint="nodisk events says why")


def end(context: LabContext, journal: Journal) -> None:
    """It is over: nobody is held by it any more. After the way back machines stay at what they have."""
    macs = [machine.mac for machine in context.lab.machines if str(machine.name) in journal.before]
    if not journal.back:
        holds.change(context.state, {}, macs)
    journals.remove(context.state)
