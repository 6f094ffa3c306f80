"""``nodisk bench`` and ``nodisk bench compare``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from nodisk import ui
from nodisk.bench import report, result, runner
from nodisk.bench.compare import Change, against
from nodisk.bench.compare import compare as changes_of
from nodisk.bench.measures import DEFINITIONS, GROUPS
from nodisk.bench.profile import PROFILES
from nodisk.bench.result import load
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError


@click.group(
    invoke_without_command=True,
    epilog="Example: nodisk bench --profile quick && nodisk bench compare old.json new.json",
)
@click.option(
    "--profile",
    "profile_name",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="How much to measure: quick takes minutes, full gives figures fit to publish.",
)
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON report to judge measures without a threshold against.",
)
@click.option("--only", multiple=True, metavar="GROUP", help="Measure only this group (repeatable; see --list).")
@click.option("--plots/--no-plots", default=True, help="Draw the report's plots (needs matplotlib).")
@click.option("--list", "list_only", is_flag=True, help="List the measures and exit.")
@lab_options
@click.pass_context
def bench(
    ctx: click.Context,
    options: LabOptions,
    *,
    profile_name: str,
    baseline: Path | None,
    only: tuple[str, ...],
    plots: bool,
    list_only: bool,
) -> None:
    """Measure how fast the cluster is.

    Runs its own workloads in its own namespace, removes them, and writes a report (HTML, JSON, JUnit) to the lab's
    state directory. Refuses to run on a cluster that fails nodisk verify --quick. Exits with 1 if an official SLO or
    a correctness check failed.
    """
    if ctx.invoked_subcommand is not None:
        return

    if wrong := [word for word in only if word not in GROUPS]:
        raise UsageError(f"unknown group {wrong[0]!r}", hint=f"groups: {', '.join(GROUPS)}")
    if list_only:
        rows = (
            (one.group, one.name, one.unit, one.judge, "" if one.threshold is None else f"{one.threshold:g}", one.what)
            for one in DEFINITIONS
        )
        ui.print_table(("group", "measure", "unit", "judged by", "threshold", "definition"), rows)
        return

    if plots:
        report.need_plots()  # before minutes of measuring, not after
    before = result.load(baseline) if baseline is not None else None
    context = options.load_cluster()
    earlier = report.earlier_runs(context.state.reports)
    runner.refuse_broken(context, ui.say)
    run = runner.bench(context, PROFILES[profile_name], only, ui.say)
    run = replace(run, header=run.header | {"runs": len(earlier)})
    files = report.write(run, context.state.reports, earlier=earlier, baseline=before, draw=plots)
    if before is not None:
        _print_changes(against(before, run).values())
    for path in (files.html, files.json, files.junit):
        click.echo(path)
    if run.failed:
        bad = ", ".join(one.name for one in run.measurements if one.fails_the_run)
        ui.say(f"failed: {bad}")
        sys.exit(1)


@bench.command(epilog="Example: nodisk bench compare bench-20260301-120000.json bench-20260308-120000.json")
@click.argument("a", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("b", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output_option
def compare(a: Path, b: Path, output: str) -> None:
    """Show the significant changes from A to B.

    A and B are JSON reports. Samples are compared with the Mann-Whitney U test at 95 %. A change below 5 % or within
    noise is "same"; with too few samples to tell, it is "unsure".
    """

    changes = changes_of(load(a), load(b))
    if output == "json":
        ui.print_json([_json(one) for one in changes])
        return
    _print_changes(changes)


def _print_changes(changes: Iterable[Change]) -> None:
    rows = (
        (
            one.name,
            " ".join(one.labels.values()),
            _number(one.before),
            _number(one.after),
            "" if one.p_value is None else f"{one.p_value:.3f}",
            one.word,
        )
        for one in changes
    )
    ui.print_table(("measure", "of", "A", "B", "p", "change"), rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _json(one: Change) -> dict[str, object]:
    return {
        "name": one.name,
        "labels": one.labels,
        "before": one.before,
        "after": one.after,
        "p_value": one.p_value,
        "change": one.word,
    }
