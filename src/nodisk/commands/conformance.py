"""``nodisk conformance``."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nodisk import files, ui
from nodisk.assets import built
from nodisk.assets.hashes import sha256_of
from nodisk.classes import prompts
from nodisk.conformance import (
    cleanup,
    neighbours,
    official,
    official_run,
    provided,
    report,
    runner,
    specs,
    submission,
)
from nodisk.conformance.program import Folder, fits
from nodisk.conformance.records import Plan, Run
from nodisk.conformance.results import Outcome, Result
from nodisk.conformance.sparing import Sparing
from nodisk.conformance.suite import Suite
from nodisk.context import LabContext, LabOptions, junit_output_option, lab_options
from nodisk.errors import NodiskError, UsageError
from nodisk.kube.client import Client, connect
from nodisk.kube.patience import COMMAND

STRETCH = 4.0
"""How much longer than usual a spec's process may take when it runs once more, alone."""


@click.command(epilog="Example: nodisk conformance --mode quick")
@click.option(
    "--suite",
    "folder",
    type=click.Path(path_type=Path),
    envvar="NODISK_SUITE",
    help="Folder with e2e.test of the cluster's release (1.24 or older), and optionally repositories.yaml. Default for "
    "Debian's release: the suite that nodisk builds from the same source; for official ones: their conformance image.",
)
@click.option(
    "--mode",
    type=click.Choice(["certified", "quick", specs.POLICIES]),
    default="certified",
    show_default=True,
    help="All specs of the release, a few quick ones, or those of NetworkPolicy; only the first proves conformance.",
)
@click.option("--focus", metavar="RE", help="Run only specs whose name matches; this doesn't prove conformance.")
@click.option("--resume", is_flag=True, help="Continue the last run; its mode and focus stay.")
@click.option(
    "--shards",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Number of parallel processes, for specs that allow it; with an official image, in one pod.",
)
@click.option(
    "--submission",
    "target",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the files of a submission to the CNCF, and Sonobuoy's tarball, into this folder.",
)
@click.option("--load", is_flag=True, help="Only get the suite and its images, as a run would; run nothing.")
@click.option("--dry-run", is_flag=True, help="List what would run, in order; run nothing.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation where classes have pods running.")
@junit_output_option
@lab_options
def conformance(
    options: LabOptions,
    *,
    folder: Path | None,
    mode: str,
    focus: str | None,
    resume: bool,
    shards: int,
    target: Path | None,
    load: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    """Run Kubernetes' own conformance suite.

    It takes hours. Results are saved piece by piece, so Ctrl-C or a power cut loses minutes at most; --resume
    continues. Serial specs run alone and last. A spec that fails runs once more, alone, and the report says so.
    Classes' pods keep running. Whatever the suite made is removed afterwards. An official release's suite is its
    conformance image, which runs in pods of the cluster. Exits with 1 unless every chosen spec passed.
    """
    if resume and (focus is not None or _given("mode")):
        raise UsageError("--resume continues a run as it was begun", hint="leave out --mode and --focus")
    context = options.load_cluster()
    if not (dry_run or load):
        _tidy(context)
    image = official.find(context, load=not dry_run) if folder is None and official.applies(context) else None
    own = provided.find(context, make=not dry_run) if folder is None and image is None else None
    suite = image.folder if image else Folder(provided.folder(context, own) if own else (folder or Path()).absolute())
    suite.check()
    if image and not dry_run:
        for line in official.ready(context.lab, image):
            ui.say(line)
    if dry_run:
        run = _begun(context, suite) if resume else None
        plan = run.plan if run else _plan(context, suite, mode, focus)
        _show(plan, run.results() if run else {}, output)
        _beside_if_known(context, shards)
        return
    if load:
        return
    with (
        files.lock(context.state.measuring, "this cluster"),
        connect(context, patience=COMMAND, say=ui.say) as client,
    ):
        fits(suite.version(), client.version(), in_pods=image is not None)
        _beside(client, shards, yes=yes)
        if image:
            official.push(context, image, ui.say)
        if own:
            provided.push(context, own, ui.say)
        if resume:
            run = _begun(context, suite)
        else:
            run = Run.begin(context.state.conformance, _plan(context, suite, mode, focus))
        results = _run(context, client, run, image or suite, shards=shards)
    _tell(run, results, output)
    if target is not None:
        write(run, results, target)
    if any(result.outcome is not Outcome.PASSED for result in results.values()):
        sys.exit(1)


def _beside(client: Client, shards: int, *, yes: bool) -> None:
    """Say who has pods and what is free; where classes have some, a person at a terminal is asked."""
    found = neighbours.look(client)
    for line in found.lines(shards):
        ui.say(line)
    if found.pods and sys.stdin.isatty():
        prompts.ask("Run the suite beside them?", yes)


def _beside_if_known(context: LabContext, shards: int) -> None:
    """The same where the cluster answers at once, and without a question."""
    try:
        with connect(context, patience=0, within=prompts.DRY_RUN_WITHIN) as client:
            for line in neighbours.look(client).lines(shards):
                ui.say(line)
    except NodiskError as error:
        ui.say(f"not looked for classes and free capacity: {error.message}")


def _given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _plan(context: LabContext, suite: Folder, mode: str, focus: str | None) -> Plan:
    official = suite.specs()
    whole = suite.policy_specs() if mode == specs.POLICIES else official
    return Plan(
        lab=str(context.lab.name),
        version=str(suite.version()),
        suite=sha256_of(suite.program),
        mode=mode,
        focus=focus,
        began=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        specs=specs.choose(whole, mode=mode, focus=focus),
        official=len(official),
        substitutes=suite.substitutes(),
    )


def _begun(context: LabContext, suite: Folder) -> Run:
    run = Run.latest(context.state.conformance)
    if run.plan.suite != sha256_of(suite.program) or run.plan.substitutes != suite.substitutes():
        raise UsageError(
            f"the run of {run.plan.began} was begun with another suite or other images",
            hint="use those again, or start over without --resume",
        )
    run.causes()  # what is wrong with that file is said now, not hours later
    return run


def _tidy(context: LabContext) -> None:
    """Remove what a killed run left, before anything can refuse a new one: a taint keeps pods off, rights stay."""
    with (
        files.lock(context.state.measuring, "this cluster"),
        connect(context, patience=COMMAND, say=ui.say) as client,
    ):
        official_run.stop(client)
        _keeper(context, client).tidy()


def _keeper(context: LabContext, client: Client) -> cleanup.Keeper:
    return cleanup.Keeper(client, context.state.conformance / cleanup.NAME, ui.say)


def _run(
    context: LabContext, client: Client, run: Run, chosen: Folder | official.Official, *, shards: int
) -> dict[str, Result]:
    keeper = _keeper(context, client)
    if isinstance(chosen, official.Official):
        pods = official_run.Pods(context, client, chosen.image, procs=shards)
        first = official_run.Keeper(client, keeper)
        return runner.run_all(
            run,
            Sparing(pods, client),
            shards=1,  # the pod itself has so many processes
            size=shards * specs.PIECE,
            again=Sparing(replace(pods, procs=1, stretch=STRETCH), client),
            now=time.monotonic,
            begin=first.begin,
            end=first.end,
            check=client.settle,
            tell=_tell_one,
        )
    missing = chosen.missing()
    suites = [
        Suite(
            program=chosen.program,
            kubectl=built.release_bin(context.state.state, context.lab) / "kubectl",
            kubeconfig=context.state.admin_kubeconfig,
            repositories=chosen.repositories,
            netns=context.netns,
            stretch=stretch,
            missing=missing,
        )
        for stretch in (1.0, STRETCH)
    ]
    return runner.run_all(
        run,
        Sparing(suites[0], client),
        shards=shards,
        again=Sparing(suites[1], client),
        now=time.monotonic,
        begin=keeper.begin,
        end=keeper.end,
        check=client.settle,
        tell=_tell_one,
    )


def _tell_one(result: Result, progress: runner.Progress) -> None:
    left = f", {progress.left / 60:.0f} min left" if progress.left is not None else ""
    again = " (once more, alone)" if result.runs > 1 else ""
    ui.say(f"{progress.done}/{progress.of}{left}: {result.outcome} {result.name}{again} {result.seconds:.0f} s")


def _show(plan: Plan, known: dict[str, Result], output: str) -> None:
    left = [spec for spec in plan.specs if spec.name not in known or known[spec.name].outcome is Outcome.UNDECIDED]
    names = [spec.name for piece in specs.pieces(left) for spec in piece]
    if output == "json":
        ui.print_json({**plan.to_json(), "specs": names})
        return
    for name in names:
        click.echo(name)
    for image, ours in sorted(plan.substitutes.items()):
        ui.say(f"not the official image: {ours} for {image}")
    ui.say(f"{len(names)} of {plan.official} specs of Kubernetes {plan.version} would run")


def _tell(run: Run, results: dict[str, Result], output: str) -> None:
    causes = run.causes()
    made: dict[str, Any] = report.report(run.plan, results, causes)
    if output == "json":
        ui.print_json(made)
    elif output == "junit":
        click.echo(report.to_junit(run.plan, results, causes), nl=False)
    else:
        for line in report.lines(run.plan, results, causes):
            click.echo(line)
        click.echo(f"logs: {run.folder}")


def write(run: Run, results: dict[str, Result], target: Path) -> None:
    """Write the submission's files into the folder ``target``."""
    log = ""
    for path in run.logs():
        with contextlib.suppress(FileNotFoundError):  # the log of a piece that somebody has tidied away
            log += path.read_text(encoding="utf-8", errors="replace")
    made = submission.documents(run.plan, results, log)
    made[submission.TAR] = submission.tarball(run.plan, results, made)
    target.mkdir(parents=True, exist_ok=True)
    for name, data in made.items():
        files.write(target / name, data)
    ui.say(f"{target}: {', '.join(sorted(made))}")
    ui.say(
        f"for a pull request to cncf/k8s-conformance: fill in the empty fields of PRODUCT.yaml, and put all but "
        f"{submission.TAR} into {submission.place(run.plan)}"
    )
