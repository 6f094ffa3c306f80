"""``nodisk render``."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace

import click

from nodisk import ui
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem, IntegrityError, UsageError
from nodisk.pki.authority import Authority
from nodisk.plan import daemons_files, readable, show, snippets
from nodisk.records import host
from nodisk.records.database import Database
from nodisk.server import assets
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine

WHAT = ("script", "address", "grub", "cmdline", "ignition", "daemons", "all")


@click.command(epilog="Example: nodisk render w1 --what ignition")
@click.argument("machine")
@click.option("--what", type=click.Choice(WHAT), default="all", show_default=True, help="What to show.")
@click.option("--diff", is_flag=True, help="Show what changed since the machine last booted.")
@lab_options
@output_option
def render(options: LabOptions, machine: str, what: str, diff: bool, output: str) -> None:
    """Show everything that one machine will be served.

    Shows the boot script, the short script that a machine gets first if its address is not the one in lab.yaml, the
    kernel command line, the complete Ignition config with its files and units unpacked, and the configuration of the
    server's daemons, starting with the lines that name this machine. None of it is secret. The one-time nonce is added
    only when the machine boots, so it is not shown. Writes nothing.
    """
    context = options.load()
    found = machine_named(context.lab, machine)
    texts = _texts(context, found) if what != "daemons" else {}
    if what == "grub" and what not in texts:
        raise UsageError(
            f"{found.name} gets iPXE, not GRUB", hint="lab.yaml says so: secure_boot of the lab or the machine"
        )
    daemons = _daemons(context) if what in {"daemons", "all"} else {}
    wanted = {name: text for name, text in texts.items() if what in (name, "all")} | daemons
    changes = _changes(context, found, wanted) if diff else {}
    if output == "json":
        lines = {name: [[*line] for line in show.naming(found, text)] for name, text in daemons.items()}
        what_is = {"changed": changes} if diff else {"texts": wanted} | ({"naming": lines} if daemons else {})
        ui.print_json({"machine": machine} | what_is)
    elif diff:
        _print_changes(found, changes)
    else:
        _print(found, {name: text for name, text in wanted.items() if name not in daemons}, daemons)


def _print(machine: Machine, texts: dict[str, str], daemons: dict[str, str]) -> None:
    parts = {name: _for_people(name, text) for name, text in texts.items()}
    if daemons:
        parts["daemons"] = show.daemons(machine, daemons)
    for name, text in parts.items():
        if len(parts) > 1:
            click.echo(f"##### {name}")
        click.echo(text)


def _print_changes(machine: Machine, changes: dict[str, str]) -> None:
    for name, text in changes.items():
        if text:
            click.echo(f"##### {name}\n{text}")
    if not any(changes.values()):
        click.echo(f"No changes since {machine.name} last booted.")


def _daemons(context: LabContext) -> dict[str, str]:
    """The daemons' configurations by file name, for the host that the server found when it last started."""
    lab, state = context.lab, context.state
    found = host.read(state.host) or daemons_files.usual_host(lab, state.root, state.state.assets / "objects")
    return daemons_files.configure(lab, replace(found, interface=lab.network.interface or found.interface))


def _texts(context: LabContext, machine: Machine) -> dict[str, str]:
    facts = assets.facts_now(context.lab, context.state, machine, _ca(context))
    return show.texts(context.lab, facts, machine, where=snippets.in_file(context.file))


def _ca(context: LabContext) -> str:
    """The server's CA, or words in its place: to show something must not make keys."""
    try:
        return Authority(context.state, context.lab).ca_pem
    except IntegrityError:
        return "(the certificate of the server's CA: nodisk serve makes it when it first runs)\n"
    except PermissionError:
        return "(the certificate of the server's CA: reading it needs root)\n"


def _changes(context: LabContext, machine: Machine, texts: dict[str, str]) -> dict[str, str]:
    """Unified differences from what the server last gave the machine; '' where nothing changed."""
    if not context.state.database.exists():
        raise EnvironmentProblem("no machine of this lab has booted yet", hint="run without --diff")
    with Database(context.state.database, reading=True) as database:
        served = database.served(machine.mac)
    if not served:
        raise EnvironmentProblem(f"{machine.name} has not booted yet", hint="run without --diff")
    changes = {}
    for name, text in texts.items():
        if name not in served:
            continue  # the command line is part of the script
        lines = difflib.unified_diff(
            _for_people(name, served[name]).splitlines(),
            _for_people(name, text).splitlines(),
            fromfile=f"{name} as last booted",
            tofile=f"{name} now",
            lineterm="",
        )
        changes[name] = "\n".join(lines)
    return changes


def _for_people(name: str, text: str) -> str:
    return readable.readable(json.loads(text)) if name == "ignition" else text
