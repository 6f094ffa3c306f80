"""``nodisk dhcp-snippet``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.plan import daemons_files, dhcp_answers, dhcp_snippets
from nodisk.plan.dhcp_snippets import RUN, Server
from nodisk.records import host
from nodisk.spec.model import DhcpMode


@click.command(epilog="Example: nodisk dhcp-snippet kea --lab room.yaml")
@click.argument("server", type=click.Choice([str(one) for one in Server]))
@click.option("--reservations", is_flag=True, help="Also reserve each machine's address for its MAC.")
@lab_options
@output_option
def dhcp_snippet(options: LabOptions, server: str, reservations: bool, output: str) -> None:
    """Print configuration for the room's DHCP server.

    For a lab with `dhcp: none`, paste it into that server, so that each kind of firmware gets its boot file. With
    `dhcp: proxy`, nodisk gives that answer itself, and only --reservations prints anything. Reservations are optional:
    a machine that gets another address switches to the one in lab.yaml by itself. Changes nothing.
    """
    context = options.load()
    lab, state, kind = context.lab, context.state, Server(server)
    if lab.network.dhcp is DhcpMode.FULL:
        raise UsageError(
            "nothing to paste: with `dhcp: full` nodisk is the room's DHCP server",
            hint="beside another server, set network.dhcp in lab.yaml to proxy, or to none",
        )
    found = host.read(state.host) or daemons_files.usual_host(lab, state.root, state.state.assets / "objects")
    text = dhcp_snippets.snippet(dhcp_answers.on(found, lab, reservations=reservations), kind)
    if output == "json":
        ui.print_json({"server": server, "dhcp": str(lab.network.dhcp), "run": kind in RUN, "text": text})
    else:
        click.echo(text, nl=False)
