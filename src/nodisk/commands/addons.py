"""``nodisk addons``: what the cluster always has beside Kubernetes itself."""

from __future__ import annotations

from collections.abc import Sequence

import click

from nodisk import ui
from nodisk.assets import addon_listing, addon_mirror, addon_source
from nodisk.commands import addon_images
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, UsageError
from nodisk.kube import addon_sets, applyset
from nodisk.kube.client import Client, connect
from nodisk.server import addon_images as mirror_images
from nodisk.spec.model_addons import Addon


@click.group(epilog="Example: nodisk addons diff && nodisk addons apply")
def addons() -> None:
    """Show, mirror, apply and remove the cluster's add-ons.

    Add-ons are listed in `addons:` in lab.yaml; nodisk serve applies them when the API first answers.
    """


def _read(context: LabContext) -> addon_sets.Reader:
    return addon_source.Sources.of(context.lab, context.state).read


def _client(context: LabContext) -> Client:
    return connect(context, say=ui.say)


def _chosen(context: LabContext, names: Sequence[str]) -> list[Addon]:
    """Those of lab.yaml with these names, or all; raises UsageError for an unknown name."""
    known = {str(addon.name): addon for addon in context.lab.addons}
    if unknown := [name for name in names if name not in known]:
        hint = f"it has: {', '.join(known)}" if known else "it has no `addons:`"
        raise UsageError(f"lab.yaml has no add-on {unknown[0]}", hint=hint)
    return [known[name] for name in names] or list(context.lab.addons)


@addons.command("list", epilog="Example: nodisk addons list")
@lab_options
@output_option
def list_(options: LabOptions, output: str) -> None:
    """List the add-ons in lab.yaml, and those that only the cluster has."""
    context = options.load_cluster()
    known = addon_listing.known(context)
    with _client(context) as client:
        found = addon_listing.listed(context, client, known)
    if output == "json":
        ui.print_json({"addons": [one.to_json() for one in found]})
        return
    ui.print_table(
        ["ADD-ON", "STATE", "IMAGES", "FROM"],
        [(one.row.name, one.row.state.value, one.images, one.row.problem or one.row.source) for one in found],
    )


@addons.command(epilog="Example: nodisk addons show metrics-server")
@lab_options
@output_option
@click.argument("name")
def show(options: LabOptions, output: str, name: str) -> None:
    """Show which objects of an add-on the cluster has, and which of its images are mirrored."""
    context = options.load_cluster()
    addon = next((one for one in context.lab.addons if str(one.name) == name), None)
    images, problem = addon_listing.Shown([], [], ()), ""
    if addon is not None:
        try:
            images = addon_listing.of(context, addon)
        except NodiskError as error:
            problem = error.message
    with _client(context) as client:
        parent = applyset.parents(client).get(name)
        if parent is None:
            _chosen(context, [name])
        found = applyset.members(client, parent) if parent is not None else []
    if output == "json":
        shown: dict[str, object] = {"name": name, "objects": [_json(one.member) for one in found]}
        ui.print_json(
            shown
            | {"images": addon_images.json(images.images), "hidden": images.hidden, "problem": problem}
            | {"hooks": list(images.hooks)}
        )
        return
    ui.print_table(
        ["KIND", "NAMESPACE", "NAME"],
        [(one.member.kind, one.member.namespace, one.member.name) for one in found],
    )
    addon_images.table(images.images)
    for text in images.hooks:
        ui.say(f"left out, a hook of Helm: {text}")
    for text in images.hidden:
        ui.say(f"looks like an image, and no pod names it: {text}; to mirror it, add it to the add-on's `images:`")
    if problem:
        ui.say(problem)


def _json(member: applyset.Member) -> dict[str, str]:
    return dict(member._asdict())


@addons.command(epilog="Example: nodisk addons diff")
@lab_options
@output_option
@click.argument("names", nargs=-1)
def diff(options: LabOptions, output: str, names: tuple[str, ...]) -> None:
    """Show what applying add-ons would change.

    Asks the API server by a dry run; values of Secrets are shown as hashes. Without NAMES, compares all add-ons, and
    shows which would be removed.
    """
    _compare(options.load_cluster(), output, names)


def _compare(context: LabContext, output: str, names: Sequence[str]) -> None:
    chosen = _chosen(context, names)
    shown = []
    with _client(context) as client:
        for addon in chosen:
            shown += [(str(addon.name), one) for one in addon_sets.differences(client, addon, _read(context))]
        parents = {} if names else applyset.parents(client)
        for name in sorted(parents.keys() - {str(one.name) for one in chosen}):
            parent = parents[name]
            gone = (addon_sets.Difference(one.member, "remove", "") for one in applyset.members(client, parent))
            shown += [(name, one) for one in gone]
    if output == "json":
        ui.print_json(
            {
                "changes": [
                    {"addon": name, "verb": one.verb, **_json(one.member), "text": one.text} for name, one in shown
                ]
            }
        )
        return
    for name, one in shown:
        click.echo(f"{name}: {one.verb} {one.member}" + (f"\n{one.text}" if one.text else ""))
    if not shown:
        click.echo("The cluster has what lab.yaml says.")


@addons.command("apply", epilog="Example: nodisk addons apply")
@lab_options
@output_option
@click.argument("names", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only show what would change, like nodisk addons diff.")
def apply_(options: LabOptions, output: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Apply add-ons, and remove objects that are no longer part of them.

    Without NAMES, applies all add-ons in lab.yaml, and removes the objects of those that are no longer in it. An add-on
    that is refused is reported and keeps its old objects; the others are applied all the same.
    """
    context = options.load_cluster()
    chosen = _chosen(context, names)
    if dry_run:
        _compare(context, output, names)
        return
    done = []
    with _client(context) as client:
        for one in addon_sets.apply(client, chosen, _read(context), prune=not names):
            done.append(one)
            if output == "table":
                click.echo(one.summary or f"add-on {one.name}: nothing to do")
    if not names:
        _forget(context, [one.name for one in done if not one.outcome.problems])
    if output == "json":
        ui.print_json({"addons": [_done(one) for one in done]})
    if failed := [one.name for one in done if one.outcome.problems]:
        raise NodiskError(f"not applied as a whole: {', '.join(failed)}", hint="fix what is refused, then run it again")


def _forget(context: LabContext, names: Sequence[str]) -> None:
    """Mirror no longer what only add-ons of these names used that have left lab.yaml and the cluster."""
    kept = {str(addon.name) for addon in context.lab.addons}
    for image in mirror_images.forget(context.state, [name for name in names if name not in kept]):
        ui.say(f"no add-on uses {image} any more: no longer mirrored")


@addons.command(epilog="Example: nodisk addons mirror --dry-run")
@lab_options
@output_option
@click.argument("names", nargs=-1)
@click.option("--refresh", is_flag=True, help="Resolve every tag again, and download what it points to now.")
@click.option("--dry-run", is_flag=True, help="Show what is mirrored and what would be downloaded; change nothing.")
def mirror(options: LabOptions, output: str, names: tuple[str, ...], *, refresh: bool, dry_run: bool) -> None:
    """Download add-ons' images once, into the lab's registry.

    Machines then need no internet to run them. Add-ons that are applied afterwards name the images by the digests that
    were downloaded, even if their tags move later. Without NAMES, mirrors all add-ons, and drops images that none of
    them uses any more.
    """
    context = options.load_cluster()
    chosen = _chosen(context, names)
    results, problems = list[addon_mirror.Result](), list[str]()
    if dry_run:
        for addon in chosen:
            try:
                results += addon_listing.of(context, addon).images
            except NodiskError as error:
                problems.append(error.message)
    else:
        results = addon_images.mirror(context, chosen, whole=not names, refresh=refresh)
    failed = [one for one in results if one.verb is addon_mirror.Verb.FAILED]
    problems += [one.text for one in failed]
    if output == "json":
        ui.print_json({"images": addon_images.json(results), "problems": problems})
    else:
        addon_images.table(one for one in results if one not in failed)
        for problem in problems:
            ui.say(problem)
    if problems:
        raise NodiskError("not everything could be mirrored", hint="fix what is named above, then run it again")
    if not dry_run:
        ui.say("nodisk addons diff shows what it changes, nodisk addons apply applies it")


def _done(one: addon_sets.Done) -> dict[str, object]:
    return {
        "name": one.name,
        "applied": [_json(member) for member in one.outcome.applied],
        "removed": [_json(member) for member in one.outcome.removed],
        "problems": one.outcome.problems,
    }


@addons.command(epilog="Example: nodisk addons remove metrics-server --dry-run")
@lab_options
@output_option
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Show what would be removed; change nothing.")
def remove(options: LabOptions, output: str, name: str, dry_run: bool) -> None:
    """Remove an add-on's objects from the cluster.

    Remove it from lab.yaml too, or nodisk serve applies it again at its next start.
    """
    context = options.load_cluster()
    with _client(context) as client:
        parent = applyset.parents(client).get(name)
        if parent is None:
            hint = "list them with nodisk addons list"
            raise UsageError(f"the cluster has no add-on {name}", hint=hint)
        gone = [one.member for one in applyset.members(client, parent)] if dry_run else applyset.remove(client, name)
    if not dry_run:
        _forget(context, [name])
    if output == "json":
        ui.print_json({"name": name, "removed": [_json(member) for member in gone], "dry_run": dry_run})
    else:
        click.echo("\n".join(f"{'would remove' if dry_run else 'removed'} {member}" for member in gone))
    if not dry_run and any(str(addon.name) == name for addon in context.lab.addons):
        ui.say(f"{name} is still in lab.yaml: nodisk serve applies it again at its next start")
