"""``nodisk backup``: make and list backups of the room."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from nodisk import ui
from nodisk.backup import create as making
from nodisk.backup.restic import Repository, Snapshot
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import backups
from nodisk.spec import target as targets
from nodisk.state import State

F = TypeVar("F", bound=Callable[..., Any])


@click.group(epilog="Example: nodisk backup create --to /srv/backups")
def backup() -> None:
    """Back up the whole room: make and list backups.

    A backup holds etcd, keys, lab.yaml, records, classes and students' volumes, encrypted. Without its password nobody
    can read it: keep a copy of STATE/labs/LAB/backup/password on another host.
    """


def target_options(option: str = "--to") -> Callable[[F], F]:
    """Add the options that name a repository; the command gets them as ``to`` and ``password_file``."""

    def add(command: F) -> F:
        @click.option(
            option,
            "to",
            metavar="DIR|ssh://…|s3://…",
            help="Where the backups are (default: lab.yaml's backup.target).",
        )
        @click.option(
            "--password-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File with the backups' password (default: lab.yaml's, else the one in the state directory).",
        )
        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return command(*args, **kwargs)

        return cast("F", wrapper)

    return add


def repository(context: LabContext, to: str | None, password_file: Path | None) -> Repository:
    """The repository that is meant; raises UsageError if neither options nor lab.yaml name one."""
    section = context.lab.backup
    if to is not None:
        target = targets.parse(to)
    elif section is not None:
        target = targets.parse(section.target, base=context.file.parent)
    else:
        raise UsageError("no place for backups is named", hint="use --to DIR, or set backup.target in lab.yaml")
    password = password_file or (section and section.password_file) or context.state.backup / "password"
    return Repository(target, password.absolute(), _cache(context.state.state))


def _cache(state: State) -> Path:
    return state.cache / "restic"


@backup.command(epilog="Example: nodisk backup create --to ssh://backup@nas/srv/room")
@lab_options
@output_option
@target_options()
@click.option("--with-assets", is_flag=True, help="Save images and releases too, for a host that can't build them.")
def create(options: LabOptions, output: str, to: str | None, password_file: Path | None, with_assets: bool) -> None:
    """Make a backup.

    The server may run meanwhile; students' writes to their volumes wait while their volume is copied. The first backup
    to a place makes the password, in the state directory.
    """
    context = options.load()
    place = repository(context, to, password_file)
    new = not place.password.exists()
    made = making.create(context, place, with_assets=with_assets)
    census = made.manifest.etcd
    objects = sum(one.count for one in census.resources.values()) if census else 0
    if output == "json":
        ui.print_json(
            {
                "id": made.id,
                "lab": made.manifest.lab,
                "time": made.manifest.created.isoformat(timespec="seconds"),
                "target": place.target.text,
                "seconds": round(made.seconds, 1),
                "added": made.added,
                "files": len(made.manifest.files),
                "objects": objects,
                "outside": list(made.manifest.outside),
            }
        )
    else:
        click.echo(
            f"Backup {made.id} of {made.manifest.lab} is in {place.target.text}: {objects} objects, "
            f"{len(made.manifest.files)} files; {made.added / 1e6:.1f} MB were added in {made.seconds:.0f} s."
        )
    for path in made.manifest.outside:
        ui.say(f"warning: {path} is not in it: lab.yaml names it, and it isn't below lab.yaml's folder")
    if new:
        ui.say(
            f"Its password is in {place.password}. Copy that file to another host: without it, no backup can be read."
        )


@backup.command("list", epilog="Example: nodisk backup list --output json")
@lab_options
@output_option
@target_options()
@click.option("--all-labs", is_flag=True, help="Also list the backups of other labs that are kept there.")
def list_(options: LabOptions, output: str, to: str | None, password_file: Path | None, all_labs: bool) -> None:
    """List the backups, oldest first."""
    context = options.load()
    found = repository(context, to, password_file).snapshots(None if all_labs else context.state.name)
    proved = backups.read(context.state).proved_id
    if output == "json":
        ui.print_json({"backups": [_json(one, proved) for one in found]})
        return
    ui.print_table(
        ["ID", "TIME", "LAB", "ASSETS", "PROVED"],
        [
            (
                one.short,
                f"{one.time.astimezone():%Y-%m-%d %H:%M:%S}",
                one.lab,
                "yes" if one.with_assets else "no",
                "yes" if one.short == proved else "",
            )
            for one in found
        ],
    )


def _json(one: Snapshot, proved: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "time": one.time.isoformat(timespec="seconds"),
        "lab": one.lab,
        "assets": one.with_assets,
        "proved": one.short == proved,
    }
