"""``nodisk class``: changes to an existing class and its students, from ``remove`` to ``export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nodisk import files, ui
from nodisk.classes import accounts, actions, plan, prompts, record, tables
from nodisk.classes import drift as differences
from nodisk.classes.record import Account, Class
from nodisk.commands.class_options import days_option, expires_option, out_option, storage_policy_option, yes_option
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.kube.client import Client


def remove_accounts(
    context: LabContext, client: Client, found: Class, chosen: Sequence[Account], *, policy: str | None, yes: bool
) -> None:
    """Remove accounts of a class with all they have, once a person agrees."""
    theirs = [found.namespace(account) for account in chosen if account not in found.teachers]
    staff = [account.label for account in chosen if account in found.teachers]
    prompts.ask(f"Delete {', '.join([*theirs, *staff])}{' and everything in them' if theirs else ''}?", yes)
    keep = prompts.keep_storage(context, found, chosen, policy, yes)
    with tables.bar("namespaces deleted", len(theirs)) as gone:
        counted = actions.remove(context, client, found, chosen, keep_storage=keep, on_gone=gone)
    ui.say(f"removed {', '.join(account.label for account in chosen)} with {tables.counted(counted)}")
    prompts.say_kept(context, found, keep)


@click.command(epilog="Example: nodisk class remove k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1, required=True)
@storage_policy_option
@yes_option
@lab_options
def remove(*, options: LabOptions, name: str, student: tuple[str, ...], storage_policy: str | None, yes: bool) -> None:
    """Remove students and everything they have, or remove teachers."""
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = record.need(context.state, name)
        remove_accounts(context, client, found, prompts.chosen(found, student), policy=storage_policy, yes=yes)


@click.command(epilog="Example: nodisk class delete k8s --yes")
@click.argument("name")
@click.option(
    "--timeout", type=float, default=120, show_default=True, help="Seconds to wait until everything is deleted."
)
@storage_policy_option
@yes_option
@lab_options
def delete(*, options: LabOptions, name: str, timeout: float, storage_policy: str | None, yes: bool) -> None:
    """Delete a class and everything its students have."""
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = record.need(context.state, name)
        prompts.ask(f"Delete class {name} with {len(found.students)} students and everything they have?", yes)
        keep = prompts.keep_storage(context, found, None, storage_policy, yes)
        with tables.bar("namespaces deleted", len(found.students) + 1) as gone:
            counted = actions.delete(context, client, found, limit=timeout, keep_storage=keep, on_gone=gone)
    ui.say(f"deleted class {name}: {len(found.students)} students with {tables.counted(counted)}")
    prompts.say_kept(context, found, keep)


@click.command(epilog="Example: nodisk class reset k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1, required=True)
@yes_option
@lab_options
def reset(*, options: LabOptions, name: str, student: tuple[str, ...], yes: bool) -> None:
    """Replace students' namespaces with empty ones; their credentials stay valid."""
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = prompts.running(context, name)
        chosen = record.each_once(found.student(word) for word in student)
        prompts.ask(f"Delete everything in {', '.join(found.namespace(s) for s in chosen)}?", yes)
        with tables.bar("namespaces deleted", len(chosen)) as gone:
            counted = actions.reset(context, client, found, chosen, on_gone=gone)
    ui.say(f"reset {', '.join(s.label for s in chosen)}: {tables.counted(counted)} are gone")


@click.command(epilog="Example: nodisk class suspend k8s; nodisk class resume k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1)
@lab_options
def suspend(*, options: LabOptions, name: str, student: tuple[str, ...]) -> None:
    """Suspend access of students or teachers (default: all students); their workloads keep running."""
    _set_suspended(options, name, student, True)


@click.command(epilog="Example: nodisk class resume k8s")
@click.argument("name")
@click.argument("student", nargs=-1)
@lab_options
def resume(*, options: LabOptions, name: str, student: tuple[str, ...]) -> None:
    """Restore access with the same credentials (default: all students)."""
    _set_suspended(options, name, student, False)


def _set_suspended(options: LabOptions, name: str, words: tuple[str, ...], suspended: bool) -> None:
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = record.need(context.state, name) if suspended else prompts.running(context, name)
        chosen = prompts.chosen(found, words)
        done = accounts.set_suspended(client, found, context.lab, chosen, suspended, by_hand=True)
        record.save(context.state, done.record)
    if changed := [account.label for account in chosen if account.label not in done.failed]:
        ui.say(f"{'suspended' if suspended else 'resumed'}: {', '.join(changed)}")
    actions.raise_first(done.failed)


@click.command(epilog="Example: nodisk class rotate k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1)
@out_option
@output_option
@lab_options
def rotate(*, options: LabOptions, name: str, student: tuple[str, ...], out: Path | None, output: str) -> None:
    """Replace credentials (default: all students'); the old ones stop working at once."""
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = prompts.running(context, name)
        chosen = prompts.chosen(found, student)
        made = actions.rotate(context, client, found, chosen, folder=prompts.folder(found, out))
    tables.report(made, output)


@click.command(epilog="Example: nodisk class extend k8s --expires 2027-06-30")
@click.argument("name")
@expires_option
@days_option
@out_option
@output_option
@lab_options
def extend(
    *, options: LabOptions, name: str, expires: str | None, days: int | None, out: Path | None, output: str
) -> None:
    """Change the end date of a class, and write new handouts with new tokens."""
    context = options.load_cluster()
    now = record.now()
    end = plan.expiry(expires, days, now)
    if end is None:
        raise UsageError("no end date given: use --expires DATE or --days N")
    with record.changing(context.state, name), prompts.client(context) as client:
        found = record.need(context.state, name).extended(end, now)
        made = actions.remint(context, client, found, folder=prompts.folder(found, out))
    tables.report(made, output)


@click.command(epilog="Example: nodisk class export k8s term-papers")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@lab_options
def export(*, options: LabOptions, name: str, folder: Path) -> None:
    """Export each student's objects as manifests, one file per student."""
    context = options.load_cluster()
    found = record.need(context.state, name)
    with prompts.client(context) as client:
        texts = differences.export(client, found, found.students)
    for label, text in texts.items():
        files.write(folder / f"{label}.yaml", text, mode=0o600)
    made = sum(bool(text) for text in texts.values())
    ui.say(f"wrote {len(texts)} files to {folder}; {made} students have objects of their own")
