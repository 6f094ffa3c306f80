"""``nodisk status``, and the commands that reach into the cluster."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from nodisk import files, run, ui, virtual_record
from nodisk.assets import kubectl as kubectl_
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.kube import kubeconfig as kubeconfig_
from nodisk.kube.patience import unheard
from nodisk.machines import asked, status_table
from nodisk.machines import inventory as inventory_
from nodisk.machines import ssh as ssh_
from nodisk.machines import status as view
from nodisk.spec.lookup import machine_named


class _Seconds(click.FloatRange):
    """``20`` and ``20s``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of a text; click's own message for another text."""
        if isinstance(value, str):
            value = value.removesuffix("s")
        return float(super().convert(value, param, ctx))


@click.command(epilog="Example: nodisk status --watch")
@lab_options
@output_option
@click.option("-w", "--watch", is_flag=True, help="Show the status again whenever it changes, until Ctrl-C.")
@click.option(
    "--wait",
    type=_Seconds(min=0.1, max=asked.MOST_WAIT),
    default=asked.ANSWER_WITHIN,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the API's answer.",
)
def status(options: LabOptions, output: str, watch: bool, wait: float) -> None:
    """Show one row per machine: stage, node, RAM.

    While the API doesn't answer, the node columns say unknown; the stages come from what the machines reported. A slow
    API gets --wait to answer; one that isn't running is not waited for. With --watch --output json, each line is one
    complete status.
    """

    context = options.load()
    before: object = None
    while True:
        now = view.collect(context, wait=wait, say=ui.say if sys.stderr.isatty() and not watch else unheard)
        seen = view.to_json(now)
        key = {name: value for name, value in seen.items() if name != "time"}
        if output == "json" and not watch:
            ui.print_json(seen)
        elif output == "json" and key != before:
            click.echo(json.dumps(seen, ensure_ascii=False))
        elif output == "table" and (key != before or sys.stdout.isatty()):
            if watch and sys.stdout.isatty():
                click.clear()
            prefix = f"{status_table.clock(now.time)}  " if watch else ""
            click.echo(prefix + status_table.summary(now))
            ui.print_table(status_table.HEADINGS, status_table.table(now))
        if not watch:
            return
        before = key
        time.sleep(1)


_PASS_THROUGH = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_PASS_THROUGH, epilog="Example: nodisk kubectl get nodes -o wide")
@lab_options
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def kubectl(options: LabOptions, words: tuple[str, ...]) -> None:
    """Run the release's kubectl against the lab.

    Runs as the administrator, for real and virtual labs alike. Put --lab and --state before kubectl's own arguments.
    """

    context = options.load_cluster()
    env = {"KUBECONFIG": str(kubeconfig_.of_admin(context.state))}
    run.replace([kubectl_.kubectl_program(context), *words], env=env, netns=context.netns)


@click.command(epilog="Example: nodisk kubeconfig --out admin.kubeconfig")
@lab_options
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file (mode 0600) instead of stdout."
)
def kubeconfig(options: LabOptions, out: Path | None) -> None:
    """Print the administrator's kubeconfig.

    It gives full access to the cluster. For a virtual lab, it uses the forwarded API port on 127.0.0.1.
    """

    context = options.load_cluster()
    virtual = virtual_record.read(context.state)
    text = kubectl_.for_this_host(context, api_port=None if virtual is None else virtual.api_port)
    if out is None:
        click.echo(text, nl=False)
        return
    files.write(out.absolute(), text, mode=0o600)
    ui.say(f"wrote the administrator's kubeconfig for {context.lab.name} to {out}")


@click.command(context_settings=_PASS_THROUGH, epilog="Example: nodisk ssh w1 systemctl --failed")
@lab_options
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(options: LabOptions, name: str, command: tuple[str, ...]) -> None:
    """Log in to a machine by name.

    Logs in as admin, who may use sudo. The host key is checked against the one that the machine reported when it
    enrolled in this boot.
    """

    context = options.load()
    run.replace(ssh_.arguments(context, name, command), netns=context.netns)


@click.command(epilog="Example: nodisk inventory --format kubespray --list")
@click.option("--list", "everything", is_flag=True, help="Print all groups and variables (the default).")
@click.option("--host", metavar="NAME", help="Print one machine's variables.")
@click.option(
    "--format",
    "kind",
    type=click.Choice([kind.value for kind in inventory_.Format]),
    default=inventory_.Format.ANSIBLE.value,
    show_default=True,
    help="Whose group names and variables to use.",
)
@lab_options
def inventory(options: LabOptions, host: str | None, kind: str, *, everything: bool) -> None:
    """Print the room as an Ansible inventory (JSON).

    Ansible reads it from a program: make an executable file that runs this command with the arguments that it is given,
    and pass that file with -i. The inventory pins the host keys that the machines reported in this boot.
    """

    if everything and host is not None:
        raise UsageError("--list and --host are two different questions", hint="nodisk inventory --list")
    context = options.load()
    if host is not None:
        machine_named(context.lab, host)
    found = inventory_.of_room(context, inventory_.Format(kind))
    ui.print_json(found if host is None else found["_meta"]["hostvars"][host])
