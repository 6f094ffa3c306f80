"""``nodisk build`` and ``nodisk assets``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.context import LabOptions, lab_options, output_option


@click.command(epilog="Example: nodisk build --lab lab.yaml")
@click.option("--offline", is_flag=True, help="Load nothing; fail if something is missing.")
@click.option("--refresh", is_flag=True, help="Make everything again from what the mirrors have now (security fixes).")
@lab_options
@output_option
def build(offline: bool, refresh: bool, output: str, options: LabOptions) -> None:
    """Build or fetch what the machines boot: image, release, iPXE."""
    from nodisk.assets.build import build as build_  # noqa: PLC0415 - keeps `nodisk --help` fast

    context = options.load()
    result = build_(context.lab, options.state, offline=offline, refresh=refresh)
    if output == "json":
        ui.print_json(
            {
                "why": result.why,
                "seconds": result.seconds,
                "assets": [manifest.to_json() for manifest in result.assets.values()],
            }
        )
        return
    rows = [
        (manifest.kind, manifest.name, manifest.version, f"{manifest.size / 1e6:.1f} MB")
        for manifest in result.assets.values()
    ]
    ui.print_table(("ASSET", "WHAT", "VERSION", "SIZE"), rows)


@click.group(epilog="Example: nodisk assets list")
def assets() -> None:
    """List, verify or prune what was built."""
