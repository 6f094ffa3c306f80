"""``nodisk init``: a lab.yaml to start from, with examples or with the machines of the room."""

from __future__ import annotations

from pathlib import Path

import click

from nodisk import files, ui
from nodisk.commands import from_room
from nodisk.commands.durations import Duration
from nodisk.context import output_option
from nodisk.errors import NodiskError, UsageError
from nodisk.spec import guess, template
from nodisk.values import Mac, Name


@click.command(
    epilog="Examples: nodisk init --name s4 && nodisk check; with the room's own machines: sudo nodisk init --from-room"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="lab.yaml")
@click.option("--name", help="Name of the lab (default: the name of the file's folder).")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--from-room", "listens", is_flag=True, help="Listen while the PCs are switched on, and write them in. Needs root."
)
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    default="5m",
    show_default=True,
    help="With --from-room: how long to listen. Press Ctrl-C to stop earlier.",
)
@click.option(
    "--count", type=click.IntRange(1, 1000), help="With --from-room: stop as soon as this many machines have been seen."
)
@click.option("--interface", help="The network interface of the room (default: the one with the default route).")
@click.option(
    "--control-plane",
    type=from_room.NumberOrMac(),
    metavar="NUMBER|MAC",
    help="With --from-room: the machine that runs the API (default: the first).",
)
@click.option("--yes", is_flag=True, help="With --from-room: write without asking.")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
@output_option
def init(  # noqa: PLR0917 - click hands over by name
    file: Path,
    name: str | None,
    force: bool,
    listens: bool,
    seconds: float,
    count: int | None,
    interface: str | None,
    control_plane: int | Mac | None,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Write a commented lab.yaml to start from.

    The network interface, subnet and address are guessed from this host; check them. An existing FILE is not
    overwritten unless you pass --force.

    With --from-room, switch the PCs on one by one. nodisk lists and numbers those that boot from the network, in that
    order, and writes the `dhcp` mode that suits the room. It only listens, so this works beside any DHCP server.
    """

    if not listens and (yes or count is not None or control_plane is not None):
        raise UsageError("--count, --control-plane and --yes go with --from-room")
    lab = _name(name, file)
    if file.exists() and not force and not dry_run:
        raise UsageError(f"{file} already exists", hint="choose another name, or overwrite it with --force")
    found = guess.guess(interface=interface)
    if interface is not None and found.interface is None:
        raise UsageError(
            f"--interface {interface}: it has no IPv4 address of a room's size, or isn't up",
            hint="list interfaces with `ip -brief address`",
        )
    room = None
    if listens:
        way = from_room.Way(seconds, count, control_plane, ask=not (yes or dry_run))
        room = from_room.look(found, way)
        if room is None:
            ui.say("nothing was written")
            return
    text = template.render(lab, found, room)
    if not dry_run:
        try:
            files.write(file, text)
        except OSError as error:
            raise NodiskError(f"{file}: {error.strerror}", hint="choose a path that you can write to") from error
    if output == "json":
        ui.print_json(_json(file, text, room, dry_run=dry_run))
    elif dry_run:
        click.echo(text, nl=False)
    elif room is None:
        ui.say(f"wrote {file}. Put in your first machine's MAC address, then run: nodisk check --lab {file}")
    else:
        ui.say(f"wrote {file} with {len(room.machines)} machines. Look at it, then run: sudo nodisk check --lab {file}")


def _json(file: Path, text: str, room: template.Seen | None, *, dry_run: bool) -> dict[str, object]:
    machines = [] if room is None else [{"mac": str(mac), "seen": what} for mac, what in room.machines]
    return {
        "file": str(file),
        "dry_run": dry_run,
        "dhcp": None if room is None else str(room.dhcp),
        "why": None if room is None else room.why,
        "machines": machines,
        "text": text,
    }


def _name(given: str | None, file: Path) -> Name:
    """The lab's name: the one that was given, else the folder's if it can be one."""
    if given is not None:
        try:
            return Name.parse(given)
        except ValueError as error:
            raise UsageError(f"--name: {error}") from error
    try:
        return Name.parse(file.absolute().parent.name.lower())
    except ValueError:
        return Name("room")
