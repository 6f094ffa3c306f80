"""``nodisk backup``: make, list, prove, prune and restore backups of the room."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nodisk import ui
from nodisk.backup import create as making
from nodisk.backup import prove
from nodisk.backup import restore as restoring
from nodisk.backup.restic import Snapshot
from nodisk.commands.backup_place import elsewhere, repository, target_options
from nodisk.context import LabOptions, lab_options, output_option, state_option
from nodisk.errors import UsageError
from nodisk.records import backups
from nodisk.spec.model_backup import Keep
from nodisk.state import State

PERIODS = ("last", "daily", "weekly", "monthly", "yearly")


@click.group(epilog="Example: nodisk backup create --to /srv/backups")
def backup() -> None:
    """Back up the room: make, list, prove, restore.

    A backup holds etcd, keys, lab.yaml, records, classes and students' volumes, encrypted. It can't be read without its
    password: keep a copy of STATE/labs/LAB/backup/password on another host.
    """


@backup.command(epilog="Example: nodisk backup create --to ssh://backup@nas/srv/room")
@lab_options
@output_option
@target_options()
@click.option("--with-assets", is_flag=True, help="Include images and releases, for a host that can't build them.")
def create(options: LabOptions, output: str, to: str | None, password_file: Path | None, with_assets: bool) -> None:
    """Make a backup.

    The server can keep running; students' writes to a volume wait while it is copied. The first backup generates the
    password, in the state directory.
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
@click.option("--all-labs", is_flag=True, help="Also list backups of other labs in the same location.")
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


@backup.command(epilog="Example: nodisk backup restore latest --from /mnt/backups --password-file /mnt/password")
@state_option
@output_option
@target_options("--from")
@click.argument("snapshot", default="latest")
@click.option("--as", "name", metavar="NAME", help="Restore under another lab's name.")
@click.option(
    "--lab-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="lab.yaml",
    show_default=True,
    help="Where to write lab.yaml. A different file there is kept; the backup's is written next to it.",
)
@click.option(
    "--lab-name", metavar="NAME", help="The lab that `latest` refers to, if the location holds backups of several."
)
@click.option("--replace", is_flag=True, help="If the state directory already has a lab of that name, move it aside.")
@click.option("--dry-run", is_flag=True, help="Show which backup would be restored; change nothing.")
def restore(  # noqa: PLR0917 - click hands over by name
    state: State,
    output: str,
    to: str | None,
    password_file: Path | None,
    snapshot: str,
    name: str | None,
    lab_file: Path,
    lab_name: str | None,
    replace: bool,
    dry_run: bool,
) -> None:
    """Restore a backup.

    SNAPSHOT is an id from nodisk backup list, or latest. On another host, with an empty state directory, the room then
    boots as the same cluster. A running lab is never overwritten.
    """
    place = elsewhere(state, to, password_file, lab_file)
    found = place.find(snapshot, lab_name)
    if dry_run and output == "json":
        ui.print_json(
            {"id": found.short, "lab": found.lab, "time": found.time.isoformat(timespec="seconds"), "dry_run": True}
        )
        return
    if dry_run:
        click.echo(f"Would restore {found.short} of {found.lab}, made {found.time.astimezone():%Y-%m-%d %H:%M:%S}.")
        return
    done = restoring.restore(state, place, found, lab_file=lab_file.absolute(), name=name, replace=replace)
    if output == "json":
        ui.print_json(
            {
                "id": found.short,
                "lab": done.lab,
                "lab_file": str(done.lab_file),
                "beside": [str(path) for path in done.beside],
                "set_aside": done.set_aside and str(done.set_aside),
                "rto_seconds": round(done.seconds, 1),
                "rpo_seconds": round(done.lost, 1),
                "revision_bumped": done.bumped,
                "assets_missing": list(done.missing),
            }
        )
        return
    click.echo(
        f"Backup {found.short} is restored as {done.lab}, with {done.lab_file}.\n"
        f"RTO {done.seconds:.0f} s: what this took. RPO {ui.span(done.lost)}: what happened since the backup is lost."
    )
    for path in done.beside:
        ui.say(f"warning: {path.with_suffix('')} is there and differs, and stays; the backup's is in {path}")
    if done.set_aside:
        click.echo(f"What was there before is in {done.set_aside}.")
    if done.manifest.etcd and not done.bumped:
        ui.say("This etcd can't move its revision on: restart programs outside the room that watch the API.")
    if done.missing:
        ui.say(f"The store of this host lacks what the lab was built of: {', '.join(done.missing)}.")
    click.echo(f"Next: {'nodisk build, ' if done.missing else ''}nodisk serve, nodisk arm, and switch the machines on.")


@backup.command(epilog="Example: nodisk backup verify latest")
@lab_options
@output_option
@target_options()
@click.argument("snapshot", default="latest")
@click.option("--read-all", is_flag=True, help="Also read every other backup in the location, and compare hashes.")
def verify(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, to: str | None, password_file: Path | None, snapshot: str, read_all: bool
) -> None:
    """Prove a backup by restoring it into a temporary etcd and API server.

    SNAPSHOT is an id from nodisk backup list, or latest. The lab can keep running: the test uses loopback and a folder
    of its own.
    """
    context = options.load()
    place = repository(context, to, password_file)
    if read_all:
        place.check()
    found = place.find(snapshot, context.state.name)
    proof = prove.prove(context.state.state, place, found, record=context.state)
    if output == "json":
        ui.print_json(
            {
                "id": found.short,
                "objects": proof.objects,
                "files": len(proof.manifest.files),
                "rto_seconds": round(proof.seconds, 1),
                "rpo_seconds": round(proof.age, 1),
            }
        )
        return
    click.echo(
        f"Backup {found.short} is proved: {len(proof.manifest.files)} files and {proof.objects} objects are what was "
        f"saved.\nRTO {proof.seconds:.0f} s, from the backup to an API that answers. RPO {ui.span(proof.age)}: its age."
        if proof.manifest.etcd
        else f"Backup {found.short} holds {len(proof.manifest.files)} files, all as they were saved; the lab had no "
        f"cluster yet.\nRPO {ui.span(proof.age)}: its age."
    )


@backup.command(epilog="Example: nodisk backup prune --keep daily=14 --keep monthly=12 --dry-run")
@lab_options
@output_option
@target_options()
@click.option(
    "--keep",
    "keeps",
    multiple=True,
    metavar="PERIOD=NUMBER",
    help="How many to keep: last, daily, weekly, monthly or yearly; repeatable (default: backup.keep in lab.yaml).",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed; change nothing.")
def prune(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, to: str | None, password_file: Path | None, keeps: tuple[str, ...], dry_run: bool
) -> None:
    """Remove old backups of this lab, and free their space.

    Backups of other labs in the same place stay.
    """
    context = options.load()
    keep = _keep(keeps) or (context.lab.backup.keep if context.lab.backup else Keep()).model_dump()
    gone = repository(context, to, password_file).forget(context.state.name, keep, dry_run=dry_run)
    if output == "json":
        ui.print_json({"removed": gone, "dry_run": dry_run})
    else:
        click.echo(f"{'Would remove' if dry_run else 'Removed'}: {', '.join(gone) or 'none'}")


def _keep(words: Sequence[str]) -> dict[str, int]:
    found = {}
    for word in words:
        period, _, number = word.partition("=")
        if period not in PERIODS or not re.fullmatch("[0-9]{1,4}", number):
            raise UsageError(f"--keep {word!r} is not understood", hint=f"use one of {', '.join(PERIODS)}: daily=7")
        found[period] = int(number)
    if found and not any(found.values()):
        raise UsageError("--keep would keep no backup at all", hint="keep at least one: --keep last=1")
    return found
