"""``nodisk machines``: what an administrator notes about a PC: that it is broken, or to be ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from nodisk import ui
from nodisk.commands import switching
from nodisk.commands.machine_edits import parsed
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.machines import noting
from nodisk.records import remarks
from nodisk.records.database import Database
from nodisk.records.remarks import Remark
from nodisk.values import Mac

_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be recorded; write nothing.")


@click.command(epilog='Example: nodisk machines broken w3 --note "no picture, power supply?"; then: --mended')
@lab_options
@output_option
@switching.chosen_machines
@click.option("--note", metavar="TEXT", help="What is wrong with it.")
@click.option("--mended", is_flag=True, help="It is no longer broken.")
@_dry_run
def broken(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, chosen: switching.Chosen, note: str | None, mended: bool, dry_run: bool
) -> None:
    """Mark machines' PCs as broken, with a note of what is wrong.

    `nodisk status` and `nodisk machines` show the note, and `nodisk room on` neither switches such a machine on nor
    waits for it. The note belongs to the PC: it is removed when another PC takes its place (nodisk machines swap).
    """
    if mended == (note is not None):
        raise UsageError("give --note or --mended", hint='nodisk machines broken w3 --note "no picture"')
    text = None if note is None else parsed("--note", remarks.note, note)
    context = options.load()
    machines = chosen(context)
    changed = [True for _ in machines]
    if not dry_run:
        with Database(context.state.database) as database:
            changed = [noting.broken(database, machine, text, source="nodisk") for machine in machines]
    rows = [(str(machine.name), was) for machine, was in zip(machines, changed, strict=True)]
    if output == "json":
        listed: list[dict[str, Any]] = [{"machine": name, "broken": text, "changed": was} for name, was in rows]
        # As it was when there was one machine always.
        ui.print_json((listed[0] if len(listed) == 1 else {}) | {"machines": listed, "dry_run": dry_run})
        return
    what = "mended" if text is None else f"broken: {text}"
    for name, was in rows:
        done = f"{name} is {what}" if was else f"{name} was not marked as broken"
        click.echo(f"would note: {name} is {what}" if dry_run else done)


@click.command(epilog="Example: nodisk machines ignore 00:1b:a9:00:00:07")
@lab_options
@output_option
@click.argument("mac")
@click.option("--undo", is_flag=True, help="List and count it again.")
@_dry_run
def ignore(options: LabOptions, output: str, mac: str, undo: bool, dry_run: bool) -> None:
    """Hide an unknown machine from lists, such as a printer that boots from the network.

    `nodisk machines list --ignored` still shows it, `nodisk machines adopt MAC` still adopts it; `adopt --all` leaves
    it out.
    """
    found = parsed("MAC", Mac.parse, mac)
    context = options.load()
    if (machine := context.lab.by_mac(found)) is not None:
        hint = f"nodisk machines forget {machine.name}, or nodisk machines broken {machine.name}"
        raise UsageError(f"{found} is {machine.name} of lab.yaml: only unknown machines are ignored", hint=hint)
    if not undo:
        with Database(context.state.database, reading=True) as database:
            if database.sightings.of(found) is None:
                hint = "nodisk machines list --unknown shows those that were"
                raise UsageError(f"{found} was never seen", hint=hint)
    was = True
    if not dry_run:
        with Database(context.state.database) as database:
            was = noting.ignore(database, found, undo=undo, source="nodisk")
    if output == "json":
        ui.print_json({"mac": str(found), "ignored": not undo, "changed": was, "dry_run": dry_run})
    elif not was:
        click.echo(f"{found} was not ignored" if undo else f"{found} was ignored already")
    else:
        click.echo(f"{'would be ' if dry_run else ''}{'listed again' if undo else 'ignored'}: {found}")


@dataclass(frozen=True, slots=True)
class Noted:
    """All remarks of the lab."""

    broken: Mapping[Mac, Remark]
    ignored: Mapping[Mac, Remark]

    def to_json(self, mac: Mac) -> dict[str, Any]:
        """What is noted of one PC, as ``nodisk machines`` prints it."""
        found = self.broken.get(mac)
        return {"broken": None if found is None else found.to_json(), "ignored": mac in self.ignored}


def noted(context: LabContext) -> Noted:
    """Read them."""
    with Database(context.state.database, reading=True) as database:
        return Noted(database.remarks.all(remarks.Kind.BROKEN), database.remarks.all(remarks.Kind.IGNORED))
