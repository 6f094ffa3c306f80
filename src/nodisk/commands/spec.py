"""``nodisk init``: a lab.yaml to start from."""

from __future__ import annotations

from pathlib import Path

import click

from nodisk import files, ui
from nodisk.errors import NodiskError, UsageError
from nodisk.spec import guess, template
from nodisk.values import Name


@click.command(epilog="Example: nodisk init --name s4 && nodisk check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="lab.yaml")
@click.option("--name", help="Name of the lab (default: the name of the file's folder).")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
def init(file: Path, name: str | None, force: bool, dry_run: bool) -> None:
    """Write a commented lab.yaml to start from.

    The network interface, subnet and address are guessed from this host; check them. An existing FILE is not
    overwritten unless you pass --force.
    """

    text = template.render(_name(name, file), guess.guess())
    if dry_run:
        click.echo(text, nl=False)
        return
    if file.exists() and not force:
        raise UsageError(f"{file} already exists", hint="choose another name, or overwrite it with --force")
    try:
        files.write(file, text)
    except OSError as error:
        raise NodiskError(f"{file}: {error.strerror}", hint="choose a path that you can write to") from error
    ui.say(f"wrote {file}. Put in your first machine's MAC address, then run: nodisk check --lab {file}")


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
