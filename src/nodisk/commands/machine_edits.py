"""What commands that change the machines of lab.yaml share: options, parsing of arguments, the report at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import AddressValueError
from typing import TypeVar

import click

from nodisk import ui
from nodisk.context import LabContext
from nodisk.errors import NodiskError, UsageError
from nodisk.machines import takeover
from nodisk.records import running
from nodisk.spec.change import Change
from nodisk.spec.model import Machine

T = TypeVar("T")

dry_run_option = click.option("--dry-run", is_flag=True, help="Print the change to lab.yaml; write nothing.")
force_option = click.option("--force", is_flag=True, help="Do it even if the machine's node is Ready.")


def parsed(what: str, parse: Callable[[str], T], text: str) -> T:
    """An argument's value; raises UsageError, which names the argument (``what``)."""
    try:
        return parse(text)
    except (ValueError, AddressValueError) as error:
        raise UsageError(f"{what}: {error}") from error


def finish(
    context: LabContext,
    done: Change,
    *,
    output: str,
    dry_run: bool,
    what: str,
    lines: Sequence[str],
    machines: Sequence[Machine],
    node: str | None = None,
) -> None:
    """Tell the server and the user what was done, or would be."""
    if dry_run and output == "table":
        click.echo(done.diff, nl=False)
        return
    server = None
    if not dry_run:
        server = takeover.take_over(context.state, done.new)
        _note(context, f"{what} {'; '.join(lines)}")
    if output == "json":
        listed = [one.model_dump(mode="json", include={"name", "mac", "address", "role", "seat"}) for one in machines]
        ui.print_json(
            {"action": what, "dry_run": dry_run, "machines": listed, "server": server, "node": node, "diff": done.diff}
        )
        return
    for line in lines:
        click.echo(f"{what} {line}")
    if node:
        click.echo(node)
    if server:
        click.echo(f"Wrote {context.file}. {server.words}")


def _note(context: LabContext, text: str) -> None:
    """Record it; lab.yaml is written by now, so records that can't be are only said."""
    try:
        running.record(context.state, text)
    except NodiskError as error:
        ui.say(f"not in the events: {error.message}")
