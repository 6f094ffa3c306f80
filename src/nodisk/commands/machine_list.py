"""``nodisk machines``: list and show, also machines that asked for a boot script without being in lab.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from nodisk import ui
from nodisk.check import firmware
from nodisk.commands.machine_remarks import noted
from nodisk.commands.measuring import measured_json, measured_ram
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.machines import adopting, vendors
from nodisk.records.database import Database
from nodisk.records.sightings import Sighting, place
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac


def named(lab: Lab, which: str) -> tuple[Machine | None, Mac]:
    """A machine by name or MAC; None with a MAC that lab.yaml doesn't have."""
    if (machine := lab.machine(which)) is not None:
        return machine, machine.mac
    try:
        mac = Mac.parse(which)
    except ValueError:
        machine = machine_named(lab, which)  # raises, with the names that are like it
        return machine, machine.mac
    return lab.by_mac(mac), mac


def sightings(context: LabContext) -> dict[Mac, Sighting]:
    """Every machine that asked for a boot script, in the order in which they were first seen."""
    with Database(context.state.database, reading=True) as database:
        return adopting.seen_in(database)


@click.command(name="list", epilog="Example: nodisk machines list --unknown")
@lab_options
@output_option
@click.option("--unknown", is_flag=True, help="Show only machines that are not in lab.yaml.")
@click.option("--ignored", is_flag=True, help="Show only unknown machines that are ignored.")
def list_(options: LabOptions, output: str, unknown: bool, ignored: bool) -> None:
    """List the lab's machines, and those that asked for a boot script without being in lab.yaml.

    Unknown machines come last, in the order in which they were first seen; ignored ones are left out.
    """

    context = options.load()
    seen = sightings(context)
    notes = noted(context)
    known = [] if unknown or ignored else list(context.lab.machines)
    rows: list[tuple[Mac, Machine | None, Sighting | None]]
    rows = [(machine.mac, machine, seen.get(machine.mac)) for machine in known]
    unlisted = [one for one in adopting.unknown(context.lab, seen) if (one.mac in notes.ignored) == ignored]
    rows += [(sighting.mac, None, sighting) for sighting in unlisted]
    makers = vendors.vendors(mac for mac, _, _ in rows)
    ram = measured_ram(context)
    if output == "json":
        listed = [_json(*row, makers) | {"measured_mib": ram.get(row[0])} | notes.to_json(row[0]) for row in rows]
        ui.print_json({"lab": str(context.lab.name), "machines": listed})
        return
    headings = [
        "NAME",
        "MAC",
        "ADDRESS",
        "ROLE",
        "SEAT",
        "NIC BY",
        "MAKER",
        "PRODUCT",
        "SERIAL",
        "RAM",
        "SWITCH PORT",
        "LAST SEEN",
        "BROKEN",
    ]
    said = {mac: remark.note for mac, remark in notes.broken.items()}
    ui.print_table(headings, [(*_cells(*row, makers, ram.get(row[0])), said.get(row[0], "")) for row in rows])
    if ignored:
        click.echo("\nTo list one again:  nodisk machines ignore MAC --undo" if unlisted else "No machine is ignored.")
    elif unlisted:
        count = "One machine is" if len(unlisted) == 1 else f"{len(unlisted)} machines are"
        click.echo(f"\n{count} not in lab.yaml. Add one:  nodisk machines adopt MAC [NAME]")
        click.echo("Add all, in this order:  nodisk machines adopt --all")
    elif unknown:
        click.echo("No unknown machine has asked for a boot script.")
    if any(maker is None for maker in makers.values()) and not vendors.listed():
        ui.say(f"makers of NICs are unknown: this host has no list (apt-get install {vendors.PACKAGE})")


@click.command(epilog="Example: nodisk machines show 8c:ec:4b:00:00:05")
@lab_options
@output_option
@click.argument("which", metavar="NAME|MAC")
def show(options: LabOptions, output: str, which: str) -> None:
    """Show what is known about a machine, whether or not it is in lab.yaml.

    The firmware packages shown are those that its NIC's driver may request and that the image lacks: add them to
    lab.yaml (os.firmware), and run nodisk build again.
    """

    context = options.load()
    seen = sightings(context)
    machine, mac = named(context.lab, which)
    sighting = seen.get(mac)
    if machine is None and sighting is None:
        hint = "nodisk machines list --unknown shows those that were; does it boot from the network?"
        raise UsageError(f"{mac} is not in lab.yaml and was never seen", hint=hint)
    found = _json(mac, machine, sighting, vendors.vendors([mac]))
    found |= firmware.of_machine(context.state, context.lab, mac, sighting.said.get("busid") if sighting else None)
    with Database(context.state.database, reading=True) as database:
        measured = database.inventories.all().get(mac)
        printed = database.printed.of(mac)
    notes = noted(context)
    if output == "json":
        found |= notes.to_json(mac)
        found |= {"measured": None if measured is None else measured_json(measured)}
        ui.print_json(found | {"printed": None if printed is None else printed.to_json()})
        return
    for key, value in found.items():
        text = "unknown" if value is None else ", ".join(value) or "none" if isinstance(value, list) else str(value)
        if (key, value) != ("nic_problem", None):
            click.echo(f"{key.replace('_', ' '):<17} {text}")
    if (remark := notes.broken.get(mac)) is not None:
        click.echo(f"{'broken':<17} {remark.note} (since {_clock(remark.since)})")
    if machine is None and mac in notes.ignored:
        click.echo(f"{'ignored':<17} yes")
    if measured is not None:
        click.echo(f"\nMeasured {_clock(measured.time)}:")
        for heading, words in measured.hardware.lines():
            click.echo(f"{heading:<17} {words}")
    if printed is not None:
        click.echo(f"\nPrinted last ({_clock(printed.time)}):")
        click.echo("\n".join(printed.lines))
    if machine is None:
        click.echo(f"\nIt is not in lab.yaml. To add it: nodisk machines adopt {mac}")


def _json(
    mac: Mac, machine: Machine | None, sighting: Sighting | None, makers: Mapping[Mac, str | None]
) -> dict[str, Any]:
    seen = (sighting or Sighting(mac, 0, 0)).to_json()
    if sighting is None:
        seen |= {"first_seen": None, "last_seen": None}
    return {
        "name": None if machine is None else str(machine.name),
        "mac": str(mac),
        "address": None if machine is None else str(machine.address),
        "role": None if machine is None else str(machine.role),
        "seat": None if machine is None or machine.seat is None else str(machine.seat),
        "vendor": makers[mac],
        **seen,
    }


def _cells(
    mac: Mac, machine: Machine | None, sighting: Sighting | None, makers: Mapping[Mac, str | None], measured: int | None
) -> tuple[str, ...]:
    said = {} if sighting is None else sighting.said
    memory = measured or (None if sighting is None else sighting.memory_mib)
    address = machine.address if machine else sighting.address if sighting else None
    return (
        str(machine.name) if machine else "(unknown)",
        str(mac),
        "" if address is None else str(address),
        str(machine.role) if machine else "",
        str(machine.seat) if machine and machine.seat else "",
        makers[mac] or "unknown",
        said.get("manufacturer", ""),
        said.get("product", ""),
        said.get("serial", ""),
        "" if memory is None else f"{memory} MiB",
        place(said),
        "" if sighting is None else _clock(sighting.last),
    )


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
