"""``nodisk lab bench``: how long machines take to boot."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from nodisk import ui
from nodisk.bench import boots, matrix
from nodisk.bench import storm as storms
from nodisk.bench.boots_report import show
from nodisk.bench.storm import Storm
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.machines.virtual import Virtual
from nodisk.spec.model import Lab
from nodisk.spec.model_peers import Rate
from nodisk.state import State
from nodisk.values import Size

WITHIN = 1200.0
"""Seconds for one boot. Without KVM, it takes minutes on two processors; this is about twice the usual time."""


@click.command(name="bench", epilog="Example: nodisk lab bench --output json > boot.json")
@lab_options
@output_option
@click.option("--no-power-cycle", is_flag=True, help="Don't measure a second boot after a power cut.")
@click.option(
    "--matrix",
    "by_firmware",
    is_flag=True,
    help="Instead: time from power-on to Linux, for each firmware and DHCP mode.",
)
@click.option(
    "--storm",
    type=click.IntRange(3, 200),
    metavar="N",
    help="Instead: have N machines' programs fetch an image at once, from the server alone and from each other.",
)
@click.option("--link", metavar="RATE", help="Speed of each cable in the storm.  [default: 100M]")
@click.option("--size", metavar="SIZE", help="Size of the image in the storm.  [default: 8MiB]")
@click.option("--within", type=float, default=WITHIN, show_default=True, help="Seconds to wait for each boot.")
@click.option("--dry-run", is_flag=True, help="Show what would be booted; change nothing.")
def lab_bench(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    no_power_cycle: bool,
    by_firmware: bool,
    storm: int | None,
    link: str | None,
    size: str | None,
    within: float,
    dry_run: bool,
) -> None:
    """Measure the time from power-on to Ready, with and without Kubernetes.

    Boots two temporary copies of this lab, one after the other, and removes them. With --matrix, boots one machine
    after another as far as Linux, in temporary labs on this lab's network. With --storm, boots nothing: the machines'
    programs run in network namespaces, with cables of limited speed. With ten machines or more, a third round follows,
    in which one in ten sends garbage, one in ten is slow, and one in ten loses its cable.
    """
    if storm is not None:
        if by_firmware or no_power_cycle:
            raise click.UsageError("in a storm nothing boots: leave out --matrix and --no-power-cycle")
        _bench_storm(_storm(storm, link or "100M", size or "8MiB"), options.state, output, within, dry_run=dry_run)
        return
    if link is not None or size is not None:
        raise click.UsageError("--link and --size belong to --storm N: add it, or leave them out")
    context = options.load()
    virtual = Virtual(context.lab, context.file, context.state)
    virtual.check(another=True)
    if by_firmware:
        _bench_matrix(virtual.lab, options.state, output, within, dry_run=dry_run)
        return
    if dry_run:
        click.echo(
            f"would boot {len(virtual.lab.machines)} machines without Kubernetes, then with it, and remove both labs"
        )
        return
    result = boots.measure(virtual.lab, options.state, within=within, power_cycle=not no_power_cycle, say=ui.say)
    if output == "json":
        ui.print_json(result.to_json())
    else:
        show(result)


def _storm(machines: int, link: str, size: str) -> Storm:
    try:
        found = Storm(machines, Rate.parse(link).bits, Size.parse(size).bytes, faulty=machines // 10)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if found.size == 0:
        raise click.UsageError("--size: an empty image measures nothing; use a size like 8MiB")
    return found


def _bench_storm(storm: Storm, state: State, output: str, within: float, *, dry_run: bool) -> None:
    if dry_run:
        click.echo(f"would let {storm.machines} programs fetch {storm.size} bytes at once, {storm.rounds} times")
        return
    with tempfile.TemporaryDirectory(prefix="nodisk-storm-", dir="/dev/shm") as folder:  # RAM, as on machines
        found = storms.measure(storm, state, Path(folder) / "room", within=within, say=ui.say)
    if output == "json":
        ui.print_json(storms.to_json(storm, found))
        return
    ui.print_table(storms.headings(), storms.rows(found))


def _bench_matrix(lab: Lab, state: State, output: str, within: float, *, dry_run: bool) -> None:
    if dry_run:
        for cell in matrix.cells():
            click.echo(f"would boot as far as Linux: {cell.firmware}, dhcp: {cell.dhcp}")
        return
    found = matrix.measure(lab, state, within=within, say=ui.say)
    if output == "json":
        ui.print_json(found.to_json())
        return
    click.echo(
        f"{found.accelerator} on {found.processors} processors. Seconds from power-on to Linux (BIOS, full = 1):"
    )
    ui.print_table(matrix.headings(), found.rows())
