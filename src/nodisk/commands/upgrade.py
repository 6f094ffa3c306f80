"""``nodisk upgrade``."""

from __future__ import annotations

import time

import click

from nodisk import ui
from nodisk.check import upgrade as preflight
from nodisk.check.findings import Finding, Level, worst
from nodisk.commands import switching
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem, NodiskError, UsageError
from nodisk.machines import room
from nodisk.machines.buttons.button import Outcome, Wish
from nodisk.machines.buttons.press import Way
from nodisk.machines.remains import need_root
from nodisk.records import backups, running
from nodisk.spec.lookup import machine_named
from nodisk.upgrade import begin, journal, look
from nodisk.upgrade.journal import Journal
from nodisk.upgrade.plan import USUAL, Plan, Wave, plan
from nodisk.upgrade.walk import BOOT, DRAIN, Edges, Limits, Walk
from nodisk.values import KubeVersion, Role
from nodisk.verify.checks import CHECKS
from nodisk.verify.runner import choose, run_all


def _wave(_context: click.Context, _option: click.Parameter, value: str) -> Wave:
    try:
        return Wave.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _version(_context: click.Context, _option: click.Parameter, value: str | None) -> KubeVersion | None:
    try:
        return None if value is None else KubeVersion.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(epilog="Example: nodisk build && nodisk upgrade --wave 20%")
@click.option("--to", "wanted", metavar="VERSION", callback=_version, help="Require the build to have this release.")
@click.option(
    "--wave",
    metavar="N|N%",
    default=USUAL,
    show_default=True,
    callback=_wave,
    help="How many workers to upgrade at the same time.",
)
@click.option(
    "--within",
    type=click.FloatRange(min=1, max=7200),
    default=BOOT,
    show_default=True,
    help="Seconds to wait for the machines of one step.",
)
@click.option(
    "--drain-within",
    type=click.FloatRange(min=1, max=7200),
    default=DRAIN,
    show_default=True,
    help="Seconds for pods to leave the nodes of one step.",
)
@click.option("--leave-pods", is_flag=True, help="Reboot nodes even if pods have not left them in time.")
@click.option("--without-backup", is_flag=True, help="Start even without a proved backup of the last 24 hours.")
@click.option("--back", is_flag=True, help="Return upgraded machines to the build that they had before.")
@click.option("--dry-run", is_flag=True, help="Show the steps and what stands in their way; change nothing.")
@lab_options
@output_option
def upgrade(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    wanted: KubeVersion | None,
    wave: Wave,
    within: float,
    drain_within: float,
    leave_pods: bool,
    without_backup: bool,
    back: bool,
    dry_run: bool,
) -> int:
    """Boot machines into the newer build, a few at a time.

    Upgrades control planes one by one, then workers in waves. Each step drains its nodes, reboots them, waits until
    they are Ready on the new build, and tests the cluster. Machines whose turn has not come are held on the build that
    they have. The command stops at the first failure. Run it again to continue, also after Ctrl-C, or use --back to go
    back. If the first machine doesn't come back, it is returned to its previous build automatically.

    The new build, which may be another release of Kubernetes or security updates of the image, is made by nodisk build
    beforehand.
    """
    context = options.load() if dry_run else options.load_cluster()
    _need_release(context, wanted)
    if dry_run:
        return _dry_run(context, wave, output)
    began = time.monotonic()
    with begin.lock(context):
        found = journal.read(context.state)
        if back and found is None:
            raise UsageError("no upgrade has begun, so there is nothing to go back from", hint="nodisk rollback")
        if found is None:
            if not look.going(context.state.state, context.lab):
                click.echo("no machine runs another build than the current one")
                return 0
            _preflight(context, without_backup=without_backup)
        found = found.turned() if back and found is not None else begin.begin(context, wave, found)
        found = begin.without_strangers(context, found)
        walk = Walk(context, begin.current(context), _edges(context), Limits(drain_within, within, leave_pods), found)
        if back and walk.crossed(tuple(name for step in found.steps for name in step)):
            raise UsageError(
                "the cluster runs a newer minor release than those machines had: no way back across it",
                hint="restore the backup from before the upgrade: docs/how-to/upgrade.md",
            )
        room.need_server(context)
        need_root()
        walk.start()
        try:
            walk.run()
        except KeyboardInterrupt:
            ui.say("interrupted: nodisk upgrade continues from here, nodisk upgrade --back goes back")
            raise
        begin.end(context, walk.journal)
    _report(context, walk.journal, output, time.monotonic() - began)
    return 0


def _need_release(context: LabContext, wanted: KubeVersion | None) -> None:
    """Raise UsageError where the build has another release than the one asked for."""
    if wanted is None:
        return
    release = begin.current(context).facts[1]
    if release is None or release.version.line != wanted.line or wanted.patch not in (None, release.version.patch):
        has = "no Kubernetes" if release is None else f"Kubernetes {release.version}"
        raise UsageError(
            f"the current build has {has}, not {wanted}",
            hint=f"nodisk check --upgrade-to {wanted}; kubernetes.version in lab.yaml; then nodisk build",
        )


def _preflight(context: LabContext, *, without_backup: bool) -> None:
    """What is looked at before the first machine goes; raises EnvironmentProblem where it must not begin."""
    findings = preflight.upgrade(context)
    for one in findings:
        ui.say(_words(one))
    if worst(findings) is Level.ERROR:
        raise EnvironmentProblem("this upgrade would break the cluster", hint="see above; nodisk check says the same")
    proved = backups.read(context.state).proved
    if not without_backup and (proved is None or time.time() - proved > preflight.FRESH):
        raise EnvironmentProblem(
            "no backup of the last 24 hours was proved",
            hint="nodisk backup create && nodisk backup verify, or start without one: --without-backup",
        )


def _edges(context: LabContext) -> Edges:
    def boot(names: tuple[str, ...]) -> None:
        machines = [machine_named(context.lab, name) for name in names]
        answers = switching.press_machines(
            context, machines, Wish.CYCLE, Way(switching.WITHIN, switching.STAGGER), "table"
        )
        if bad := [f"{one.machine}: {one.detail}" for one in answers if one.outcome is Outcome.UNKNOWN]:
            raise NodiskError(f"could not be switched off and on: {'; '.join(bad)}")

    def verify() -> None:
        ui.say("testing the cluster")
        report = run_all(context, choose(CHECKS, quick=True, only=()), quick=True)
        if bad := [str(one["name"]) for one in report["checks"] if one["outcome"] == "failed"]:
            raise NodiskError(f"nodisk verify --quick fails: {', '.join(bad)}")

    return Edges(boot, verify, lambda: begin.serve(context), lambda seconds: room.armed(context, seconds))


def _report(context: LabContext, done: Journal, output: str, seconds: float) -> None:
    went = ", ".join(done.done)
    text = f"{went} went back to the build before" if done.back else f"upgraded {went}"
    running.record(context.state, text)
    if output == "json":
        ui.print_json({"dry_run": False, "back": done.back, "done": list(done.done), "seconds": round(seconds, 1)})
        return
    click.echo(f"{text} in {ui.span(seconds)}")
    if done.back:
        click.echo("They are held at it. nodisk rollback makes it the lab's; then: nodisk hold --all --lift")


def _dry_run(context: LabContext, wave: Wave, output: str) -> int:
    steps = plan(look.machines(context.state.state, context.lab), wave)
    findings = preflight.upgrade(context) if context.lab.has_cluster else []
    planes = [str(machine.name) for machine in context.lab.by_role(Role.CONTROL_PLANE)]
    gap = context.lab.has_cluster and len(planes) == 1 and planes[0] in {name for step in steps.steps for name in step}
    found = journal.read(context.state)
    _show(output, steps, findings, gap=planes[0] if gap else None, underway=found)
    return EnvironmentProblem.exit_code if findings and worst(findings) is Level.ERROR else 0


def _show(output: str, steps: Plan, findings: list[Finding], *, gap: str | None, underway: Journal | None) -> None:
    """``gap``: the only control plane, if it is booted."""
    if output == "json":
        ui.print_json(
            {
                "dry_run": True,
                "steps": [list(step) for step in steps.steps],
                "done": list(steps.done),
                "never_booted": list(steps.absent),
                "api_gap": gap is not None,
                "underway": underway is not None,
                "findings": [one.as_json() for one in findings],
            }
        )
        return
    if underway is not None:
        way = "the way back" if underway.back else "an upgrade"
        click.echo(f"{way} has begun: {len(underway.done)} machines are done, {sum(map(len, underway.left))} are not")
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
        click.echo(_words(one))


def _words(one: Finding) -> str:
    return f"{one.level}: {one.message}" + (f" → {one.hint}" if one.hint else "")
