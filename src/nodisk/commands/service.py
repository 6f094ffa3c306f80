"""``nodisk service install`` and ``nodisk service remove``."""

from __future__ import annotations

import shlex
import sys

import click

from nodisk.context import LabOptions, lab_options
from nodisk.server import unit


@click.group(epilog="Example: nodisk service install --lab /etc/nodisk/lab.yaml")
def service() -> None:
    """Run the lab's server as a systemd service."""


@service.command(epilog="Example: nodisk service install --lab /etc/nodisk/lab.yaml")
@lab_options
@click.option("--no-start", is_flag=True, help="Write and enable the unit, but don't start it.")
@click.option("--dry-run", is_flag=True, help="Print the unit and the commands; change nothing.")
def install(options: LabOptions, no_start: bool, dry_run: bool) -> None:
    """Write, enable and start the systemd unit of this lab's server.

    The unit runs this installation of nodisk with this lab.yaml and state directory. An existing unit is replaced and
    the server restarted. lab.yaml is checked first; if it has errors, nothing is installed.
    """
    context = options.load()
    text = unit.render([sys.executable, "-m", "nodisk"], context.file, options.state.root)
    target = unit.Service()
    if dry_run:
        click.echo(f"# {target.path}\n{text}")
        for argv in target.commands(start=not no_start):
            click.echo(f"$ {shlex.join(argv)}")
        return
    changed = target.install(text, start=not no_start)
    click.echo(f"{target.path}: {'written' if changed else 'as it was'}, enabled{'' if no_start else ' and started'}")
    click.echo("Follow its log with: journalctl -u nodisk -f")


@service.command(epilog="Example: nodisk service remove")
@click.option("--dry-run", is_flag=True, help="Show what would be removed; change nothing.")
def remove(dry_run: bool) -> None:
    """Stop, disable and delete the unit; keep the lab's state."""
    target = unit.Service()
    if dry_run:
        click.echo(f"{target.path}: {'would be removed' if target.path.exists() else 'not there'}")
        return
    click.echo(f"{target.path}: {'removed' if target.remove() else 'not there'}")
