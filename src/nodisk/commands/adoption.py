"""``nodisk machines``: adopt, forget, rename, swap."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import click

from nodisk import ui
from nodisk.commands import machine_drain, machine_list, machine_remarks
from nodisk.commands.durations import Duration
from nodisk.commands.machine_edits import dry_run_option, finish, force_option, parsed
from nodisk.commands.machine_list import named, sightings
from nodisk.commands.measuring import inventory
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, UsageError
from nodisk.machines import adopt as adopt_
from nodisk.machines import adopting, nodes, passwords
from nodisk.machines.adopt import Wish
from nodisk.records import switch_port
from nodisk.records.database import Database
from nodisk.records.sightings import Sighting
from nodisk.spec.change import Edit, change
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Lab
from nodisk.values import Mac, Name, Role, Seat


@click.group()
def machines() -> None:
    """List, adopt, rename, swap, drain and forget machines.

    A PC that boots from the network and isn't in lab.yaml is listed with what it reported about itself. adopt adds it
    to lab.yaml, keeping the file's comments and layout, and the running server picks up the change.
    """


machines.add_command(machine_list.list_)
machines.add_command(machine_list.show)
machines.add_command(inventory)
machines.add_command(machine_remarks.broken)
machines.add_command(machine_drain.drain)
machines.add_command(machine_remarks.ignore)


@machines.command(
    epilog="Examples: nodisk machines adopt 8c:ec:4b:00:00:05 w1; a whole room: nodisk machines adopt --all --as w"
)
@lab_options
@output_option
@click.argument("mac", required=False)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Adopt every unknown machine, in the order they were first seen.")
@click.option("--as", "prefix", metavar="PREFIX", help="Name them PREFIX1, PREFIX2 …  [default: w, or cp]")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    default="worker",
    show_default=True,
    help="Their role in the cluster.",
)
@click.option("--address", default="next", show_default=True, metavar="next|A.B.C.D", help="Its address.")
@click.option("--seat", metavar="ROW,COLUMN", help="Where it stands.")
@click.option(
    "--seats",
    type=click.IntRange(1, 999),
    metavar="COLUMNS",
    help="With --all: assign seats row by row, COLUMNS per row.",
)
@click.option(
    "--order",
    type=click.Choice(["seen", "port"]),
    default="seen",
    show_default=True,
    help="With --all: number them as they were first seen, or by the switch port that LLDP announces.",
)
@click.option(
    "--since", type=Duration(), default="1d", show_default=True, help="With --all: only machines seen within this time."
)
@dry_run_option
def adopt(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    mac: str | None,
    name: str | None,
    every: bool,
    prefix: str | None,
    role: str,
    address: str,
    seat: str | None,
    seats: int | None,
    order: str,
    since: float,
    dry_run: bool,
) -> None:
    """Add unknown machines to lab.yaml.

    By default a machine gets the next free name, and the next free address after that of the lab's first machine. A MAC
    that was never seen works too, in any common notation.
    """

    _need_sense(
        mac=mac, name=name, every=every, by_port=order == "port", prefix=prefix, address=address, seat=seat, seats=seats
    )
    wish = Wish(
        role=Role(role),
        name=None if name is None else parsed("NAME", Name.parse, name),
        address=None if address == "next" else parsed("--address", IPv4Address, address),
        prefix=None if prefix is None else str(parsed("--as", Name.parse, f"{prefix}1"))[:-1],
        seat=None if seat is None else parsed("--seat", Seat.parse, seat),
        columns=seats,
    )
    given = None if mac is None else parsed("MAC", Mac.parse, mac)
    context = options.load()
    seen, ignored = sightings(context), machine_remarks.noted(context).ignored

    def chosen(lab: Lab) -> list[Mac]:
        if given is not None:
            return [given]
        newest = [
            one for one in adopting.unknown(lab, seen) if one.last > time.time() - since and one.mac not in ignored
        ]
        if not newest:
            hint = "switch one on and let it boot from the network; nodisk machines list --unknown shows who did"
            raise NodiskError("no machine that is not in lab.yaml has asked for a boot script", hint=hint)
        return [one.mac for one in (_by_port(newest) if order == "port" else newest)]

    done = adopting.adopt(context, chosen, wish, seen, dry_run=dry_run)
    new = done.new.machines[len(done.old.machines) :]
    lines = [
        f"{one.name}: {one.mac}, {one.address}, {one.role}{f', seat {one.seat}' if one.seat else ''}" for one in new
    ]
    if given is not None and given not in seen:
        ui.say(f"{given} has not been seen yet: if it never appears, compare it with the PC's label or firmware setup")
    finish(context, done, output=output, dry_run=dry_run, what="adopted", lines=lines, machines=new)
    if output == "table" and not dry_run:
        click.echo("Next: nodisk arm --for 15m, then switch them off and on (or choose Ask again in their menu).")


@machines.command(epilog="Example: nodisk machines forget w3")
@lab_options
@output_option
@click.argument("which", metavar="NAME|MAC")
@force_option
@dry_run_option
def forget(options: LabOptions, output: str, which: str, force: bool, dry_run: bool) -> None:
    """Remove a machine from lab.yaml and from the cluster.

    Its node is deleted if the API answers, and so is the password that `nodisk power login` stored for it. A MAC that
    isn't in lab.yaml is removed from the list of unknown machines.
    """

    context = options.load()
    machine, mac = named(context.lab, which)
    if machine is None:
        _forget_sighting(context, mac, output=output, dry_run=dry_run)
        return
    name = str(machine.name)
    node = nodes.look(context, name)
    if not force:
        nodes.need_off(name, node, "forget")
    done = change(context.file, lambda text, lab: adopt_.forget(text, lab, name), dry_run=dry_run)
    if not dry_run:
        passwords.clear(context.state, [machine])
        with Database(context.state.database) as database:  # or it would be the first of the unknown ones
            database.forget(machine.mac)
    lines = [f"{name}: {machine.mac}, {machine.address}; its events are kept"]
    fate = None if dry_run else nodes.delete(context, name, node)
    finish(context, done, output=output, dry_run=dry_run, what="forgot", lines=lines, machines=[machine], node=fate)


@machines.command(epilog="Example: nodisk machines rename w3 teacher")
@lab_options
@output_option
@click.argument("old")
@click.argument("new")
@force_option
@dry_run_option
def rename(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, old: str, new: str, force: bool, dry_run: bool
) -> None:
    """Give a machine another name.

    A node's name can't change: the old node is deleted if the API answers, and the machine joins as a new one when it
    boots next. The password that `nodisk power login` stored for it moves along.
    """

    context = options.load()
    name = parsed("NEW", Name.parse, new)
    machine_named(context.lab, old)
    node = nodes.look(context, old)
    if not force:
        nodes.need_off(old, node, "rename")

    def edit(text: str, lab: Lab) -> Edit:
        wanted = adopt_.rename(text, lab, old, name)
        if not dry_run:
            passwords.copy(context.state, machine_named(lab, old), name)
        return wanted

    done = change(context.file, edit, dry_run=dry_run)
    if not dry_run:
        passwords.clear(context.state, [machine_named(done.old, old)])
    machine = machine_named(done.new, new)
    fate = None if dry_run else nodes.delete(context, old, node)
    lines = [f"{old} is {new} now ({machine.mac}, {machine.address}), once it boots again while the lab is armed"]
    finish(context, done, output=output, dry_run=dry_run, what="renamed", lines=lines, machines=[machine], node=fate)


@machines.command(epilog="Example: nodisk machines swap w3 8c:ec:4b:00:00:99")
@lab_options
@output_option
@click.argument("name")
@click.argument("mac", metavar="NEW-MAC")
@force_option
@dry_run_option
def swap(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, name: str, mac: str, force: bool, dry_run: bool
) -> None:
    """Put another PC, or another NIC, in a machine's place.

    The machine keeps its name, address, role and node, and pending requests of `nodisk next-boot` and `nodisk machines
    inventory`. The PC with the old MAC is unknown from its next boot on: it can't enrol, but a certificate that it
    already has stays valid until it expires (14 days at most).
    """

    new = parsed("NEW-MAC", Mac.parse, mac)
    context = options.load()
    old = machine_named(context.lab, name)
    if not force:
        nodes.need_off(name, nodes.look(context, name), "swap")
    done = change(context.file, lambda text, lab: adopt_.swap(text, lab, name, new), dry_run=dry_run)
    if not dry_run and old.mac != new:
        with Database(context.state.database) as database:  # what is gone is no unknown machine to adopt
            database.hand_over(old.mac, new)
    lines = [f"{name} is {new} now, instead of {old.mac}; its node stays, and its events go by the new MAC"]
    finish(
        context,
        done,
        output=output,
        dry_run=dry_run,
        what="swapped",
        lines=lines,
        machines=[machine_named(done.new, name)],
    )


def _need_sense(*, every: bool, by_port: bool, seats: int | None, **given: str | None) -> None:
    if every == (given["mac"] is not None):
        raise UsageError("name one MAC or pass --all, but not both", hint="nodisk machines adopt 8c:ec:4b:00:00:05")
    if given["name"] is not None and given["prefix"] is not None:
        raise UsageError("NAME and --as are two ways to say the name: give one")
    if every and (given["address"] != "next" or given["seat"] is not None):
        raise UsageError("--address and --seat are for one machine", hint="with --all: --seats COLUMNS")
    if by_port and not every:
        raise UsageError("--order goes with --all")
    if seats is not None and not every:
        raise UsageError("--seats goes with --all", hint="one machine's seat: --seat ROW,COLUMN")


def _by_port(found: list[Sighting]) -> list[Sighting]:
    """In the order of their switch ports; raises NodiskError if one's isn't known: any place for it would be wrong."""
    if lost := [str(one.mac) for one in found if "port" not in one.said]:
        raise NodiskError(
            f"the switch port of {len(lost)} of {len(found)} machines is not known: {', '.join(lost[:4])}",
            hint="does their switch speak LLDP? Leave them in their menu for a minute, or adopt them one by one first",
        )
    return sorted(found, key=lambda one: switch_port.order(one.said.get("switch", ""), one.said["port"]))


def _forget_sighting(context: LabContext, mac: Mac, *, output: str, dry_run: bool) -> None:
    if mac not in sightings(context):
        raise UsageError(f"{mac} is not in lab.yaml and was never seen", hint="nodisk machines list")
    if not dry_run:
        with Database(context.state.database) as database:
            database.forget(mac)
    if output == "json":
        ui.print_json({"action": "forgot", "dry_run": dry_run, "machines": [{"name": None, "mac": str(mac)}]})
    else:
        click.echo(f"{'would forget' if dry_run else 'forgot'} that {mac} was seen; lab.yaml does not have it")
