"""``nodisk upgrade``."""

from __future__ import annotations

import click

from nodisk import ui
from nodisk.check import upgrade as preflight
from nodisk.check.findings import Finding, Level, worst
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.upgrade import look
from nodisk.upgrade.plan import Plan, Wave, plan
from nodisk.values import Role


def _wave(_context: click.Context, _option: click.Parameter, value: str) -> Wave:
    try:
        return Wave.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(epilog="Example: nodisk upgrade --dry-run --wave 20%")
@click.option(
    "--wave",
    metavar="N|N%",
    default="20%",
    show_default=True,
    callback=_wave,
    help="How many workers are away at the same time.",
)
@click.option("--dry-run", is_flag=True, help="Show the steps and what speaks against them; change nothing.")
@lab_options
@output_option
def upgrade(options: LabOptions, output: str, wave: Wave, dry_run: bool) -> int:
    """Boot machines into the newer build, a few at a time.

    Shows in which order: control planes one by one, then workers in waves; a machine that last booted the current build
    is done, and one that never booted gets it by itself. The steps are still yours to do (docs/how-to/upgrade.md), so
    --dry-run is needed. Exits with 4 if `nodisk check` finds an error that stops an upgrade.
    """
    if not dry_run:
        raise UsageError(
            "nodisk upgrade can't boot machines yet: it only shows the steps",
            hint="nodisk upgrade --dry-run, then nodisk power cycle for each step: docs/how-to/upgrade.md",
        )
    context = options.load()
    steps = plan(look.machines(options.state, context.lab), wave)
    findings = preflight.upgrade(context) if context.lab.has_cluster else []
    planes = [str(machine.name) for machine in context.lab.by_role(Role.CONTROL_PLANE)]
    gap = context.lab.has_cluster and len(planes) == 1 and planes[0] in {name for step in steps.steps for name in step}
    _show(output, steps, findings, gap=planes[0] if gap else None)
    return EnvironmentProblem.exit_code if findings and worst(findings) is Level.ERROR else 0


def _show(output: str, steps: Plan, findings: list[Finding], *, gap: str | None) -> None:
    """``gap``: the only control plane, if it is booted."""
    if output == "json":
        ui.print_json(
            {
                "dry_run": True,
                "steps": [list(step) for step in steps.steps],
                "done": list(steps.done),
                "never_booted": list(steps.absent),
                "api_gap": gap is not None,
                "findings": [one.as_json() for one in findings],
            }
        )
        return
    if steps.steps:
        ui.print_table(("STEP", "MACHINES"), [(number, ", ".join(step)) for number, step in enumerate(steps.steps, 1)])
    else:
        click.echo("no machine runs another build than the current one")
    if steps.done:
        click.echo(f"has the current build: {', '.join(steps.done)}")
    if steps.absent:
        click.echo(f"never booted, and gets the current build when it does: {', '.join(steps.absent)}")
    if gap is not None:
        click.echo(f"{gap} is the only control plane: while it boots, the API doesn't answer, and pods go on")
    for one in findings:
        click.echo(f"{one.level}: {one.message}" + (f" → {one.hint}" if one.hint else ""))
