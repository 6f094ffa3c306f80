"""``nodisk build`` and ``nodisk assets``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.assets import build as building
from nodisk.assets import built, suite
from nodisk.assets.prune import prune as prune_
from nodisk.assets.store import Store
from nodisk.context import LabContext, LabOptions, lab_options, output_option, state_option
from nodisk.errors import IntegrityError
from nodisk.records import running
from nodisk.spec import skew
from nodisk.state import State
from nodisk.values import KubeVersion


@click.command(epilog="Example: nodisk build --lab lab.yaml")
@click.option("--offline", is_flag=True, help="Download nothing; fail if something is missing.")
@click.option("--refresh", is_flag=True, help="Rebuild everything from the current mirrors, to get security fixes.")
@click.option("--dry-run", is_flag=True, help="Show what would be built, and from where; change nothing.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["image", "release", "ipxe", "containers", "terminal", "addons", "shim", "suite"]),
    help="Build only this and its dependencies (repeatable); the lab's record is not updated.",
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
    before = built.release_before(options.state, context.lab)
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
        if set(only) != {suite.KIND}:  # which no lab boots: `nodisk conformance` looks for it
            ui.say("The lab's record was not updated; run `nodisk build` without --only to use these.")
        return
    if before is not None and "release" in result.assets:
        _tell_of_skew(before.version, KubeVersion.parse(result.assets["release"].version))
    _tell_of_the_server(context)


def _tell_of_skew(before: KubeVersion, now: KubeVersion) -> None:
    """Warn of a build to which a cluster of the release before can't go; a new cluster may have any."""
    if (refused := skew.problem(before, now)) is not None:
        ui.say(f"warning: {refused}. A cluster that has run {before} can't use this build; nodisk check says more")


def _tell_of_the_server(context: LabContext) -> None:
    """Tell the user how to switch a running server over to the new build."""
    if running.is_stale(context.state, built.fingerprint(context.state, context.lab)):
        pid = running.pid(context.state)
        how = "nodisk lab up" if context.netns else f"systemctl reload nodisk, or kill -HUP {pid}"
        ui.say(f"The running server still uses the previous build. To switch it over: {how}")


@click.group(epilog="Example: nodisk assets list")
def assets() -> None:
    """List, verify or prune the built assets."""


@assets.command("list", epilog="Example: nodisk assets list --output json")
@state_option
@output_option
def list_(state: State, output: str) -> None:
    """List the contents of the store, and which labs use each item."""
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
    """Check every file in the store against its recorded hash."""
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
            hint="rebuild them with nodisk build --refresh",
        )


@assets.command(epilog="Example: nodisk assets prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@click.option(
    "--before",
    is_flag=True,
    help="Also remove each lab's previous build; nodisk rollback then has nothing to go back to.",
)
@state_option
@output_option
def prune(dry_run: bool, before: bool, state: State, output: str) -> None:
    """Remove unused and incomplete items, and the download cache."""
    done = prune_(state, dry_run=dry_run, read=running.objects(state), before=before)
    if output == "json":
        ui.print_json({"removed": list(done.removed), "bytes": done.size, "dry_run": dry_run})
        return
    verb = "would remove" if dry_run else "removed"
    for what in done.removed:
        click.echo(f"{verb} {what}")
    click.echo(f"{'would free' if dry_run else 'freed'} {ui_size(done.size)}")


def ui_size(size: int) -> str:
    """``12.3 MB``."""
    return f"{size / 1e6:.1f} MB"
