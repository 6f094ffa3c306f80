"""``nodisk verify``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nodisk import files, ui
from nodisk.context import LabContext, LabOptions, junit_output_option, lab_options
from nodisk.errors import NodiskError
from nodisk.junit import Case, junit
from nodisk.verify.checks import CHECKS
from nodisk.verify.core import Result
from nodisk.verify.runner import choose, run_all

PROOF = ("pods", "pod-network", "service", "node-port")
"""The checks with which `lab up` and `room on` end."""
MARKS = {"ok": "✓ ok", "warning": "! warning", "failed": "✗ FAILED", "skipped": "– skipped"}


@click.command(epilog="Example: nodisk verify --quick && nodisk verify --output junit >verify.xml")
@click.option("--quick", is_flag=True, help="Skip the slowest checks: CronJob schedule, drain, volume.")
@click.option("--only", multiple=True, metavar="NAME", help="Run only this check and what it needs (repeatable).")
@click.option("--keep", is_flag=True, help="Keep the run's namespace for inspection; the next run removes it.")
@click.option("--list", "list_only", is_flag=True, help="List the checks and exit.")
@junit_output_option
@lab_options
def verify(
    options: LabOptions, *, quick: bool, only: tuple[str, ...], keep: bool, list_only: bool, output: str
) -> None:
    """Prove that the cluster works.

    Does what students and administrators do, with temporary objects that it removes afterwards. Each check reports what
    it tried, the evidence and, if it failed, the likely cause and where to look. Exits with 1 if any check failed.
    """

    chosen = choose(CHECKS, quick=quick, only=only)
    if list_only:
        ui.print_table(
            ("check", "quick", "limit", "tries"),
            ((c.name, "yes" if c.quick else "", f"{c.limit:.0f} s", c.tries) for c in chosen),
        )
        return
    context = options.load_cluster()
    live = output == "table"
    report = run_all(context, chosen, keep=keep, quick=quick, tell=tell if live else (lambda _: None))
    _save(context, report)
    if output == "json":
        ui.print_json(report)
    elif output == "junit":
        click.echo(junit("nodisk verify", map(case, report["checks"]), seconds=report["seconds"]), nl=False)
    else:
        counts = report["counts"]
        warnings = "1 warning" if counts["warning"] == 1 else f"{counts['warning']} warnings"
        click.echo(
            f"{counts['ok']} ok, {warnings}, {counts['failed']} failed, {counts['skipped']} skipped "
            f"in {report['seconds']:.0f} s"
        )
    if report["counts"]["failed"]:
        sys.exit(1)


def prove(context: LabContext, *, quiet: bool = False) -> None:
    """Those of verify's checks that a cluster without users can't do without; raises NodiskError if one fails.

    ``quiet``: results are not printed, for stdout is somebody's JSON.
    """
    ui.say("testing the cluster with an echo service on every node")
    report = run_all(context, choose(CHECKS, quick=True, only=PROOF), quick=True, tell=_ignore if quiet else tell)
    if bad := [one["name"] for one in report["checks"] if one["outcome"] != "ok"]:
        words = " ".join(f"--only {name}" for name in bad)
        raise NodiskError(f"the cluster is up, but fails: {', '.join(bad)}", hint=f"nodisk verify {words}")
    ui.say(f"cluster works; tested in {report['seconds']:.0f} s")


def _ignore(_: Result | str) -> None:
    pass


def tell(what: Result | str) -> None:
    """Print a result as it comes, or a sentence about the run."""
    if isinstance(what, str):
        ui.say(what)
        return
    mark = MARKS[str(what.outcome)]
    colour = {"failed": "red", "warning": "yellow"}.get(str(what.outcome))
    told = colour is not None
    head = click.style(f"{mark:9}", bold=told, fg=colour)
    first, *rest = what.evidence or ("",)
    click.echo(f"{head} {what.name:13} {what.seconds:6.1f} s  {first if told or not rest else what.tries}")
    if told:
        for line in rest:
            click.echo(f"{'':31}{line}")
        if what.cause:
            click.echo(f"{'':20}likely cause: {what.cause}")
        if what.look:
            click.echo(f"{'':20}look further: {what.look}")


def case(one: dict[str, Any]) -> Case:
    """A check's result, as the report has it, for JUnit."""
    more = [f"likely cause: {one['cause']}"] if one["cause"] else []
    more += [f"look further: {one['look']}"] if one["look"] else []
    return Case(one["name"], one["outcome"], "\n".join([*one["evidence"], *more]), one["seconds"])


def _save(context: LabContext, report: dict[str, Any]) -> Path:
    path = context.state.reports / f"verify-{report['time'].replace(':', '').replace('-', '')}.json"
    files.write(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return path
