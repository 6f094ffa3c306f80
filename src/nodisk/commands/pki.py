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
What it means:
  - the API stops answering: etcd and the API's machines no longer know each other;
  - every machine has to be switched off and on, with the lab armed (nodisk arm); then the same cluster is back with
    its objects;
  - every token of a service account ends, and so does every kubeconfig made from one: hand them out again;
  - the administrator's kubeconfig is new: nodisk kubeconfig."""


@click.group(epilog="Example: nodisk pki list")
def pki() -> None:
    """Show or rotate the lab's certificates."""


@pki.command("list", epilog="Example: nodisk pki list --output json")
@lab_options
@output_option
def list_(options: LabOptions, output: str) -> None:
    """The lab's authorities, the server's certificates and the service accounts' key: what, for whom, until when.

    The machines' certificates are not here: each lasts two weeks at most and exists only in its machine's RAM.
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
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def rotate(options: LabOptions, dry_run: bool, yes: bool) -> None:
    """Make all authorities and keys anew; the old ones are put aside.

    For when a key may have got into wrong hands. A server that runs takes the new ones over at once.
    """

    context = options.load()
    authority = Authority(context.state, context.lab)
    names = ", ".join(item.name for item in authority.items())
    click.echo(f"{'Would replace' if dry_run else 'Replaces'}: {names}\n{ROTATION}")
    if dry_run:
        return
    if not yes and not click.confirm("Rotate now?"):
        raise UsageError("nothing was changed")
    aside = authority.rotate()
    running.record(context.state, f"the PKI was rotated; the old one is in {aside}")
    if running.reload(context.state):
        click.echo("The server takes the new keys over.")
    click.echo(f"The old ones are in {aside}. Now: nodisk arm, then switch every machine off and on.")


def _day(expires: datetime | None) -> str:
    return "never" if expires is None else f"{expires:%Y-%m-%d}"
