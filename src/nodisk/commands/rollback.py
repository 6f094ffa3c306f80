"""``nodisk rollback``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.assets import built
from nodisk.assets import rollback as going_back
from nodisk.assets.rollback import Change
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError
from nodisk.records import running
from nodisk.values import KubeVersion

PATIENCE = 3.0
"""Seconds for an API that doesn't answer: it may be what one goes back from."""


@click.command(epilog="Example: nodisk rollback --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what machines would boot; change nothing.")
@lab_options
@output_option
def rollback(options: LabOptions, output: str, dry_run: bool) -> None:
    """Go back to the previous build.

    Each machine gets it at its next boot (nodisk power cycle reboots one). A second rollback returns to the newer
    build. Refused if the cluster already runs a newer minor release than that build has, because an older API server
    may be unable to read what is in etcd.
    """
    context = options.load()
    change = going_back.look(options.state, context.lab)
    _refuse_older_minor(context, change)
    if not dry_run:
        change = going_back.go_back(options.state, context.lab)
        running.record(context.state, f"went back to the build of {max(one.made for one in change.then)}")
    _report(change, output, dry_run=dry_run)
    if not dry_run:
        _reload(context)


def _refuse_older_minor(context: LabContext, change: Change) -> None:
    now, then = change.releases
    if now is None or then is None or then.line >= now.line:
        return
    runs = _running(context)
    if runs is None:
        ui.say(
            f"the API doesn't answer: if a control plane of {now} has run, Kubernetes {then} may not read its objects"
        )
    elif runs.line > then.line:
        raise UsageError(
            f"the cluster runs Kubernetes {runs}, and the build before has {then}: no way back across a minor release",
            hint="restore the backup from before the upgrade: docs/how-to/upgrade.md",
        )


def _running(context: LabContext) -> KubeVersion | None:
    try:
        with connect(context, patience=PATIENCE) as client:
            return client.version()
    except (ApiError, EnvironmentProblem):
        return None


def _report(change: Change, output: str, *, dry_run: bool) -> None:
    pairs = change.differing
    if output == "json":
        changed = [
            {
                "kind": new.kind,
                "version": new.version,
                "made": new.made,
                "instead_of": old and {"version": old.version, "made": old.made},
            }
            for old, new in pairs
        ]
        ui.print_json({"dry_run": dry_run, "changed": changed})
        return
    rows = [(new.kind, _of(old.version, old.made) if old else "", _of(new.version, new.made)) for old, new in pairs]
    ui.print_table(("ASSET", "WOULD CHANGE FROM" if dry_run else "FROM", "TO"), rows)


def _of(version: str, made: str) -> str:
    return f"{version} of {made.replace('+00:00', 'Z')}"


def _reload(context: LabContext) -> None:
    if not running.is_stale(context.state, built.fingerprint(context.state, context.lab)):
        return
    if context.netns is None and running.reload(context.state):
        ui.say(
            "The server was told to serve it. Machines have it from their next boot on: nodisk arm, nodisk power cycle"
        )
    else:
        ui.say("The running server still uses the newer build. To switch it over: nodisk lab up")
