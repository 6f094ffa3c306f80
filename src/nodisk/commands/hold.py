"""``nodisk hold``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from nodisk import ui
from nodisk.assets import holds
from nodisk.assets.holds import Build, Holds
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, UsageError
from nodisk.records import running
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine
from nodisk.upgrade import look
from nodisk.values import Mac


@click.command(epilog="Example: nodisk hold --all && nodisk build && nodisk hold w1 --lift")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Select every machine of the lab.")
@click.option("--lift", is_flag=True, help="Release the machines: they boot the current build again.")
@click.option("--dry-run", is_flag=True, help="Show which builds they would boot; change nothing.")
@lab_options
@output_option
def hold(options: LabOptions, output: str, *, names: tuple[str, ...], every: bool, lift: bool, dry_run: bool) -> None:
    """Keep machines on the build that they have.

    A held machine keeps booting the build that it last booted, even after a newer build or a power cut, until you
    release it with --lift. Use this to try a newer build on one machine while the others stay as they are. Without NAME
    or --all, shows which machines are held.
    """
    context = options.load()
    if every and names:
        raise UsageError("name machines, or pass --all", hint="nodisk hold --all")
    chosen = context.lab.machines if every else tuple(machine_named(context.lab, name) for name in names)
    if not chosen and (lift or dry_run):
        raise UsageError("name machines, or pass --all", hint="nodisk hold w1")
    wishes: dict[Mac, Build] = {} if lift else _wishes(context, chosen)
    lifted = [machine.mac for machine in chosen] if lift else []
    if dry_run or not chosen:
        record = holds.read(context.state).lift(lifted).hold(wishes)
    else:
        record = holds.change(context.state, wishes, lifted)
        _note(context, chosen, lift=lift)
    _show(context, record, output, dry_run=dry_run)
    if not dry_run:
        _tell_server(context, wishes)


def _wishes(context: LabContext, chosen: tuple[Machine, ...]) -> dict[Mac, Build]:
    """What each of them has; those that are held already stay at that."""
    if not chosen:
        return {}
    record, builds = holds.read(context.state), look.had(context.state.state, context.lab)
    found = {one.mac: record.of(one.mac) or builds[str(one.name)] for one in chosen}
    if lost := [str(one.name) for one in chosen if found[one.mac] is None]:
        raise NodiskError(
            f"last booted a build that nodisk no longer keeps: {', '.join(lost)}",
            hint="boot them into the current build first: nodisk power cycle NAME --drain",
        )
    return {mac: build for mac, build in found.items() if build is not None}


def _note(context: LabContext, chosen: tuple[Machine, ...], *, lift: bool) -> None:
    names = ", ".join(str(machine.name) for machine in chosen)
    text = f"boot the current build again: {names}" if lift else f"held at the build that they have: {names}"
    running.record(context.state, text)


def _show(context: LabContext, record: Holds, output: str, *, dry_run: bool) -> None:
    held = {str(one.name): record.of(one.mac) for one in context.lab.machines}
    rows = [(name, build.words) for name, build in held.items() if build is not None]
    if output == "json":
        machines = [{"machine": name, "build": words} for name, words in rows]
        ui.print_json({"dry_run": dry_run, "held": machines})
    elif rows:
        ui.print_table(("MACHINE", "WOULD BE HELD AT" if dry_run else "HELD AT"), rows)
    else:
        click.echo("no machine would be held" if dry_run else "no machine is held")


def _tell_server(context: LabContext, wishes: Mapping[Mac, Build]) -> None:
    """A running server reads the record at every boot; it reloads only for a build that it doesn't serve yet."""
    ready = running.ready(context.state)
    if ready is not None and any(one.rootfs not in ready.objects for one in wishes.values()):
        running.reload(context.state)
        ui.say("The server reloads, to serve that build too.")
