"""``nodisk pki list`` and ``nodisk pki rotate``."""

from __future__ import annotations

from datetime import datetime

import click

from nodisk import ui
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.pki.authority import Authority
from nodisk.records import running

ROTATION = """\
Consequences:
  - the API stops answering, because etcd and the API servers no longer trust each other;
  - every machine must be power-cycled with the lab armed (nodisk arm); then the same cluster comes back with all its
    objects;
  - all service account tokens, and kubeconfigs that contain one, stop working: hand out new ones;
  - the administrator's kubeconfig changes: get it with nodisk kubeconfig."""


@click.group(epilog="Example: nodisk pki list")
def pki() -> None:
    """Show or rotate the lab's certificates."""


@pki.command("list", epilog="Example: nodisk pki list --output json")
@lab_options
@output_option
def list_(options: LabOptions, output: str) -> None:
    """List certificate authorities, the server's certificates and the service account key.

    Machine certificates are not listed: each is valid for at most two weeks and exists only in its machine's RAM.
    """

    context = options.load()
    items = list(Authority(context.state, context.lab).items())
    if output == "json":
        ui.print_json(
            {
                "items": [
                    {
                        "name": item.name,
                        "kind": item.kind,
                        "subject": item.subject,
                        "expires": item.expires and f"{item.expires:%Y-%m-%dT%H:%M:%SZ}",
                        "file": str(item.file),
                    }
                    for item in items
                ]
            }
        )
        return
    ui.print_table(
        ["NAME", "KIND", "SUBJECT", "EXPIRES", "FILE"],
        [(item.name, item.kind, item.subject, _day(item.expires), item.file) for item in items],
    )


@pki.command(epilog="Example: nodisk pki rotate --dry-run")
@lab_options
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
def rotate(options: LabOptions, dry_run: bool, yes: bool) -> None:
    """Replace all authorities and keys, and keep a copy of the old ones.

    Use this if a key may have been compromised. A running server switches to the new ones at once.
    """

    context = options.load()
    authority = Authority(context.state, context.lab)
    names = ", ".join(item.name for item in authority.items())
    click.echo(f"{'Would replace' if dry_run else 'Replaces'}: {names}\n{ROTATION}")
    if dry_run:
        return
    if not yes and not click.confirm("Rotate now?"):
        raise UsageError("cancelled; nothing was changed")
    aside = authority.rotate()
    running.record(context.state, f"the PKI was rotated; the old one is in {aside}")
    if running.reload(context.state):
        click.echo("The server now uses the new keys.")
    click.echo(f"The old ones are in {aside}. Next, run nodisk arm, then power-cycle every machine.")


def _day(expires: datetime | None) -> str:
    return "never" if expires is None else f"{expires:%Y-%m-%d}"
