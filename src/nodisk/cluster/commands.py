"""``nodisk status``, and the commands that reach into the cluster."""

from __future__ import annotations

import json
import sys
import time

import click

from nodisk import ui
from nodisk.context import LabOptions, lab_options, output_option


@click.command(epilog="Example: nodisk status --watch")
@lab_options
@output_option
@click.option("-w", "--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
def status(options: LabOptions, output: str, watch: bool) -> None:
    """A row a machine: stage, node, RAM.

    With the API down the node's columns say unknown, and the stages come from what the machines reported. With --watch
    --output json each line is one whole status.
    """
    from nodisk.cluster import status as view  # noqa: PLC0415 - keeps `nodisk --help` fast

    context = options.load()
    before: object = None
    while True:
        now = view.collect(context)
        seen = view.to_json(now)
        key = {name: value for name, value in seen.items() if name != "time"}
        if output == "json" and not watch:
            ui.print_json(seen)
        elif output == "json" and key != before:
            click.echo(json.dumps(seen, ensure_ascii=False))
        elif output == "table" and (key != before or sys.stdout.isatty()):
            if watch and sys.stdout.isatty():
                click.clear()
            prefix = f"{view.clock(now.time)}  " if watch else ""
            click.echo(prefix + view.summary(now))
            ui.print_table(view.HEADINGS, view.table(now))
        if not watch:
            return
        before = key
        time.sleep(1)
