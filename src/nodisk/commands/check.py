"""``nodisk check``: preflight."""

from __future__ import annotations

import time

import click
from rich.text import Text

from nodisk import ui
from nodisk.check import ram, runner, wire
from nodisk.check.findings import Finding, Level, worst
from nodisk.check.runner import Place
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem
from nodisk.plan.budget import Budget
from nodisk.spec import versions
from nodisk.values import KubeVersion

PATIENCE = 2.0
"""Seconds before showing what is still running."""


def _version(_context: click.Context, _option: click.Parameter, value: str | None) -> KubeVersion | None:
    try:
        found = None if value is None else KubeVersion.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if found is not None and not versions.known(found):
        raise click.BadParameter(f"nodisk supports {versions.OLDEST} to {versions.NEWEST}")
    return found


@click.command(epilog="Example: nodisk check --lab room.yaml")
@lab_options
@output_option
@click.option(
    "--virtual/--real",
    default=None,
    help="Kind of lab (default: real if lab.yaml names an interface or this host has the server's address).",
)
@click.option(
    "--upgrade-to",
    metavar="VERSION",
    callback=_version,
    help="Check whether the cluster can be upgraded to this release (default: lab.yaml's).",
)
def check(options: LabOptions, output: str, virtual: bool | None, upgrade_to: KubeVersion | None) -> int:
    """Check for anything that would stop this lab from booting.

    Checks programs and their versions, the server's network interface and ports, other DHCP servers, addresses in use,
    the clock, disk space and speed, the Debian mirror, the release, the age of the image, which machines run an older
    image or configuration, whether the cluster can be upgraded to lab.yaml's release, Butane snippets, each machine's
    RAM, and SSH keys; for a virtual lab also KVM and this host's memory. Changes nothing, apart from a temporary file
    to measure the disk. Exits with 0 if it finds no errors (warnings are allowed), else 4.
    """

    place = _place(options, virtual, upgrade_to)
    budgets = ram.budgets(place.state.state, place.lab)
    with _Waiting() as waiting:
        findings = runner.run_all(place, budgets, waiting)
    level = worst(findings)
    if output == "json":
        ui.print_json(
            {
                "lab": str(place.lab.name),
                "virtual": place.virtual,
                "worst": str(level),
                "findings": [finding.as_json() for finding in findings],
                "budget": [ram.as_json(one) for one in budgets],
            }
        )
    else:
        where = "a virtual lab" if place.virtual else "a real room"
        click.echo(f"{place.lab.name}, as {where} (choose with --virtual or --real)\n")
        _show(findings, budgets)
    return EnvironmentProblem.exit_code if level is Level.ERROR else 0


def _place(options: LabOptions, virtual: bool | None, upgrade_to: KubeVersion | None) -> Place:
    lab = options.load() if upgrade_to is None else options.load_cluster()
    if virtual is None:
        # An interface in lab.yaml, or the lab's address on this host, means a real room.
        real = lab.lab.network.interface is not None or wire.link(lab.lab) is not None
        virtual = lab.netns is not None or not real
    return Place(lab.lab, lab.file, lab.state, virtual, lab.netns if virtual else None, upgrade_to)


def _show(findings: list[Finding], budgets: list[Budget]) -> None:
    styles = {"ok": "green", "warning": "yellow", "error": "bold red"}
    rows = [(Text(finding.level, style=styles[finding.level]), finding.check, _words(finding)) for finding in findings]
    ui.print_table(["", "check", "result"], rows)
    click.echo()
    headings, body = ram.table(budgets)
    ui.print_table(headings, body, title="RAM budget in MiB: used at Ready, and maximum size of each tmpfs")
    counts = {level: sum(finding.level == level for finding in findings) for level in styles}
    click.echo(f"\n{counts['error']} errors, {counts['warning']} warnings, {counts['ok']} ok")


def _words(finding: Finding) -> str:
    return finding.message + (f"\n→ {finding.hint}" if finding.hint else "")


class _Waiting:
    """A line on stderr listing the checks still running, shown after ``PATIENCE`` seconds."""

    def __enter__(self) -> _Waiting:
        self.begun = time.monotonic()
        self.status = ui.console(stderr=True).status("")
        self.shown = False
        return self

    def __call__(self, left: list[str]) -> None:
        if not left or time.monotonic() - self.begun < PATIENCE:
            return
        text = f"checking: {', '.join(left)}"
        if not self.shown:
            self.shown = True
            self.status.start()
            if not self.status.console.is_terminal:
                ui.say(text)
        self.status.update(text)

    def __exit__(self, *_: object) -> None:
        if self.shown:
            self.status.stop()
