"""``nodisk machines inventory``: boot machines once to measure them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import click

from nodisk import ui
from nodisk.commands.durations import Duration
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import remarks, running
from nodisk.records.database import Database
from nodisk.records.events import iso
from nodisk.records.inventories import Measured
from nodisk.spec.lookup import machine_named
from nodisk.values import Mac

LONGEST_TEST = 1800
"""Seconds of a memory test."""


@click.command(epilog="Example: nodisk machines inventory --unknown --memory-test 60")
@lab_options
@output_option
@click.argument("which", nargs=-1, metavar="[NAME|MAC]...")
@click.option("--unknown", is_flag=True, help="Measure every machine that was seen and is not in lab.yaml.")
@click.option(
    "--memory-test",
    "seconds",
    type=click.IntRange(0, LONGEST_TEST),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long each machine tests its RAM; 0: not at all.",
)
@click.option(
    "--for", "window", type=Duration(), default="1h", show_default=True, help="How long to wait for them to boot."
)
@click.option("--cancel", is_flag=True, help="Cancel the measurement of these machines; without a name, of all.")
@click.option("--dry-run", is_flag=True, help="Show which machines would be affected; change nothing.")
def inventory(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    which: tuple[str, ...],
    unknown: bool,
    seconds: int,
    window: float,
    cancel: bool,
    dry_run: bool,
) -> None:
    """Measure machines at their next boot: CPU, RAM, disks, NICs, firmware, link.

    Switch them on, or off and on: each boots the node image into RAM without joining anything, tests its RAM and its
    link to the server, reports, and powers off. nodisk machines show then shows what it found, and nodisk check
    compares it with lab.yaml. The lab need not be armed.
    """
    if cancel and unknown:
        raise UsageError("--cancel goes with names, or alone for all", hint="nodisk machines inventory --cancel")
    context = options.load()
    if cancel:
        _cancel(context, {_mac(context, one) for one in which}, output=output, dry_run=dry_run)
        return
    if bool(which) == unknown:
        raise UsageError("name machines or pass --unknown, but not both", hint="nodisk machines inventory --unknown")
    chosen = _unknown(context) if unknown else {_mac(context, one): one for one in which}
    if not chosen:
        raise UsageError("no unknown machine was seen", hint="nodisk machines list --unknown; switch them on first")
    if not dry_run:
        with Database(context.state.database) as database:
            for mac in chosen:
                database.inventories.ask(mac, until=time.time() + window, seconds=seconds)
        running.record(context.state, f"to be measured at their next boot: {', '.join(map(str, chosen))}")
    if output == "json":
        ui.print_json({"dry_run": dry_run, "machines": _json(context, chosen), "memory_test": seconds})
        return
    names = ", ".join(chosen.values())
    if dry_run:
        click.echo(f"would measure at their next boot: {names}")
        return
    click.echo(f"To be measured at their next boot: {names}. Switch them on; each powers off when it is done.")
    click.echo("Then: nodisk machines show NAME|MAC")


def _cancel(context: LabContext, given: set[Mac], *, output: str, dry_run: bool) -> None:
    """Call the measuring of machines off; of none given, of all that wait for it."""
    if dry_run:
        with Database(context.state.database, reading=True) as database:
            off = [mac for mac in database.inventories.asked() if not given or mac in given]
    else:
        with Database(context.state.database) as database:
            off = [mac for mac in given or database.inventories.asked() if database.inventories.cancel(mac)]
    names = ", ".join(_name(context, mac) for mac in off)
    if off and not dry_run:
        running.record(context.state, f"not to be measured after all: {names}")
    if output == "json":
        ui.print_json({"dry_run": dry_run, "machines": _json(context, off), "cancelled": True})
    elif not off:
        click.echo("No machine waits to be measured." if not given else "None of them waits to be measured.")
    else:
        click.echo(f"{'would call off' if dry_run else 'Called off'} the measuring of: {names}")
        click.echo("One that is being measured now goes on and powers off; its report is not taken.")


def _name(context: LabContext, mac: Mac) -> str:
    machine = context.lab.by_mac(mac)
    return str(mac) if machine is None else str(machine.name)


def _json(context: LabContext, macs: Iterable[Mac]) -> list[dict[str, str | None]]:
    machines = ((mac, context.lab.by_mac(mac)) for mac in macs)
    return [{"name": None if one is None else str(one.name), "mac": str(mac)} for mac, one in machines]


def measured_json(measured: Measured) -> dict[str, Any]:
    """The stable form of a report."""
    return {"time": iso(measured.time), **measured.hardware.model_dump(mode="json")}


def measured_ram(context: LabContext) -> dict[Mac, int]:
    """Machine → MiB of RAM that it had when it was last measured."""
    with Database(context.state.database, reading=True) as database:
        return {mac: one.hardware.memory_mib for mac, one in database.inventories.all().items()}


def _unknown(context: LabContext) -> dict[Mac, str]:
    with Database(context.state.database, reading=True) as database:
        ignored = database.remarks.all(remarks.Kind.IGNORED)
        seen = [one.mac for one in database.sightings.all() if one.mac not in ignored]
    return {mac: str(mac) for mac in seen if context.lab.by_mac(mac) is None}


def _mac(context: LabContext, which: str) -> Mac:
    """By a name of lab.yaml or a MAC; raises UsageError for anything else."""
    if (machine := context.lab.machine(which)) is not None:
        return machine.mac
    try:
        return Mac.parse(which)
    except ValueError:
        return machine_named(context.lab, which).mac  # raises, with the names that are like it
