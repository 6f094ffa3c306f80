"""``nodisk serve``, the only command that loads the server and the console."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from nodisk import interrupts, run
from nodisk.backup import schedule
from nodisk.classes import expiry
from nodisk.console import listen
from nodisk.context import LabContext, LabOptions, lab_options
from nodisk.records.database import Database
from nodisk.records.turns import Plan
from nodisk.server import host
from nodisk.server.room_switch import room_switch
from nodisk.server.serve import Server
from nodisk.server.timetable import Keeper
from nodisk.spec.model import Lab


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
