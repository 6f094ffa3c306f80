"""``nodisk build`` and ``nodisk assets``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.assets import build as building
from nodisk.assets import built
from nodisk.assets.prune import prune as prune_
from nodisk.assets.store import Store
from nodisk.context import LabContext, LabOptions, lab_options, output_option, state_option
from nodisk.errors import IntegrityError
from nodisk.records import running
from nodisk.state import State


@click.command(epilog="Example: nodisk build --lab lab.yaml")
@click.option("--offline", is_flag=True, help="Load nothing; fail if something is missing.")
@click.option("--refresh", is_flag=True, help="Make everything again from what the mirrors have now (security fixes).")
@click.option("--dry-run", is_flag=True, help="Only say what would be built, and from where.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["image", "release", "ipxe", "containers", "addons"]),
    help="Build only this and what it needs (may be given more than once); the lab's record stays as it is.",
)
@lab_options
@output_option
def build(
    *, offline: bool, refresh: bool, dry_run: bool, only: tuple[str, ...], output: str, options: LabOptions
) -> None:
    """Build or fetch what the machines boot: image, release, iPXE."""
    context = options.load()
    if dry_run:
        why, plan = building.dry_run(context.lab, options.state, offline=offline, refresh=refresh)
        if output == "json":
            assets = [{"kind": item.kind, "key": item.key, "present": item.present} for item in plan]
            ui.print_json({"why": why, "assets": assets})
        else:
            ui.say(why)
            rows = [(item.kind, item.key, "is there" if item.present else "would be built") for item in plan]
            ui.print_table(("ASSET", "KEY", "STATE"), rows)
        return
    result = building.build(context.lab, options.state, offline=offline, refresh=refresh, only=only)
    if output == "json":
        made = [manifest.to_json() for manifest in result.assets.values()]
        ui.print_json({"why": result.why, "seconds": result.seconds, "assets": made})
        return
    ui.print_table(
        ("ASSET", "WHAT", "VERSION", "SIZE"),
        [(m.kind, m.name, m.version, ui_size(m.size)) for m in result.assets.values()],
    )
    if only:
        ui.say("The lab's record stays as it was; `nodisk build` without --only takes these in.")
        return
    _tell_of_the_server(context)


def _tell_of_the_server(context: LabContext) -> None:
    """A server that runs goes on with what it had: say how it takes over what is new."""
    if running.is_stale(context.state, built.fingerprint(context.state, context.lab)):
        pid = running.pid(context.state)
        how = "nodisk lab up" if context.netns else f"systemctl reload nodisk, or kill -HUP {pid}"
        ui.say(f"The lab's server goes on with the build before, until: {how}")


@click.group(epilog="Example: nodisk assets list")
def assets() -> None:
    """List, verify or prune what was built."""


@assets.command("list", epilog="Example: nodisk assets list --output json")
@state_option
@output_option
def list_(state: State, output: str) -> None:
    """List what is in the store, and which of it a lab uses."""
    used = built.used(state)
    manifests = Store(state).manifests()
    if output == "json":
        ui.print_json({"assets": [{**manifest.to_json(), "used": manifest.id in used} for manifest in manifests]})
        return
    ui.print_table(
        ("ASSET", "WHAT", "VERSION", "SIZE", "MADE", "USED"),
        [
            (m.id, m.name, m.version, ui_size(m.size), m.made.replace("+00:00", "Z"), "yes" if m.id in used else "no")
            for m in manifests
        ],
    )


@assets.command(epilog="Example: nodisk assets verify")
@state_option
@output_option
def verify(state: State, output: str) -> None:
    """Read every byte in the store and compare it with its hash."""
    store = Store(state)
    found = {manifest.id: store.damage(manifest) for manifest in store.manifests()}
    damaged = {asset: problems for asset, problems in found.items() if problems}
    if output == "json":
        ui.print_json({"verified": len(found), "damaged": damaged})
    else:
        ui.print_table(("ASSET", "RESULT"), [(asset, "; ".join(problems) or "ok") for asset, problems in found.items()])
    if damaged:
        raise IntegrityError(
            f"{len(damaged)} of {len(found)} assets are damaged: {', '.join(damaged)}",
            hint="nodisk build --refresh makes them again",
        )


@assets.command(epilog="Example: nodisk assets prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@state_option
@output_option
def prune(dry_run: bool, state: State, output: str) -> None:
    """Remove what no lab of this host uses, what is incomplete, and the cache."""
    done = prune_(state, dry_run=dry_run, read=running.objects(state))
    if output == "json":
        ui.print_json({"removed": list(done.removed), "bytes": done.size, "dry_run": dry_run})
        return
    verb = "would remove" if dry_run else "removed"
    for what in done.removed:
        click.echo(f"{verb} {what}")
    click.echo(f"{ui_size(done.size)} {'would be' if dry_run else 'were'} freed")


def ui_size(size: int) -> str:
    """``12.3 MB``."""
    return f"{size / 1e6:.1f} MB"
