"""``nodisk class``: a teacher's class, from a roster to handouts and to the end of the term."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from nodisk import files, ui
from nodisk.classes import accounts, actions, expiry, handouts, plan, prompts, record, sizes, tables
from nodisk.classes import drift as differences
from nodisk.classes import homes as volumes
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import Person
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, UsageError
from nodisk.kube.client import Client


@click.group(name="class", epilog="Example: nodisk class create k8s --roster group-2.csv --days 120")
def class_() -> None:
    """Manage classes of students: create, list, suspend, delete."""


def _roster_options(command: Any) -> Any:
    @functools.wraps(command)
    def with_reading(*args: Any, column: tuple[str, ...], encoding: str | None, sheet: str | None, **rest: Any) -> Any:
        return command(*args, reading=prompts.Reading(column, encoding, sheet), **rest)

    wrapped: Any = with_reading
    for option in (
        click.option("--sheet", metavar="NAME", help="Sheet to read when --roster is a spreadsheet."),
        click.option("--encoding", metavar="NAME", help="Encoding of --roster, such as cp1250 or iso8859-2."),
        click.option(
            "--column",
            multiple=True,
            metavar="FIELD=HEADING",
            help="Meaning of a --roster column: id, name, first, last, email, role or ignore (repeatable).",
        ),
        click.option("--students", metavar="A,B,C", help="Students' names, instead of --roster."),
        click.option(
            "--roster",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Roster exported from a course platform or spreadsheet: CSV, .xlsx, .xls, .ods or an HTML table.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


_days = click.option("--days", type=click.IntRange(1, 1000), help="End access after this many days.")
_expires = click.option("--expires", metavar="DATE", help="End access at the end of this day, such as 2027-02-28.")
_out = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the handouts (default: ./NAME)."
)
_yes = click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
_storage_policy = click.option(
    "--storage-policy",
    type=click.Choice(["keep", "remove"]),
    help="Keep or remove the students' files on the server (default: ask; with --yes: keep).",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")


@class_.command(epilog="Example: nodisk class create k8s --roster group-2.csv --size medium --teacher 'Anna Nowak'")
@click.argument("name")
@_roster_options
@click.option(
    "--size", default=None, help="tiny, small, medium, large, or the path of your own size file.  [default: small]"
)
@_expires
@_days
@click.option(
    "--role",
    type=click.Choice(["edit", "admin", "view"]),
    help="Role of each student in their own namespace.  [default: edit]",
)
@click.option(
    "--teacher",
    multiple=True,
    metavar="NAME",
    help="Teacher with the admin role in every student's namespace (repeatable).",
)
@click.option(
    "--storage", metavar="SIZE", help="Storage per student on the server, such as 2Gi; it can be increased later."
)
@_out
@click.option("--overcommit", is_flag=True, help="Allow more than the nodes' or the server's disk capacity.")
@click.option(
    "--prune", is_flag=True, help="Remove students who are no longer in the roster, and everything they have."
)
@_storage_policy
@_yes
@_dry_run
@output_option
@lab_options
def create(*, options: LabOptions, name: str, yes: bool, dry_run: bool, output: str, **words: Any) -> None:
    """Create a class from a roster, or update it to match."""
    asked = Request(**words)
    people = prompts.people(asked.roster, asked.students, asked.reading)
    context = options.load_cluster()
    with contextlib.ExitStack() as stack:
        stack.enter_context(record.changing(context.state, plan.check_name(name), dry_run=dry_run))
        existing = record.load(context.state, name)
        planned = asked.planned(existing, people, name, record.now())
        if existing is not None and existing.expires != planned.record.expires:
            ui.say("the end date changes, so new handouts with new tokens are written")
        pruned = plan.Planned(planned.record.without(planned.absent), planned.new, ()) if asked.prune else planned
        folder = prompts.folder(planned.record, asked.out)
        actions.refuse(context, pruned.record, folder)
        if dry_run:
            prompts.room_if_known(context, pruned, asked.overcommit)
            tables.show_plan(planned, output)
            return
        client = stack.enter_context(prompts.client(context))
        prompts.room(context, client, pruned, asked.overcommit)
        if asked.prune and planned.absent:
            _remove(context, client, planned.record, planned.absent, policy=asked.storage_policy, yes=yes)
        tables.report_absent(pruned)
        with tables.bar(f"class {name}", len(pruned.record.students)) as step:
            made = actions.create(context, client, pruned.record, folder=folder, on_done=step)
    tables.report(made, output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the options of ``class create`` say; None: what was not said."""

    roster: Path | None
    students: str | None
    reading: prompts.Reading
    size: str | None
    expires: str | None
    days: int | None
    role: str | None
    teacher: tuple[str, ...]
    storage: str | None
    out: Path | None
    overcommit: bool
    prune: bool
    storage_policy: str | None

    def planned(self, existing: Class | None, people: Sequence[Person], name: str, now: datetime) -> plan.Planned:
        """The class as it is to be; raises UsageError for what can't be."""
        if self.storage is not None:
            volumes.size_of(self.storage)
        return plan.merge(
            existing,
            people,
            name=name,
            now=now,
            size=sizes.find(self.size or "small") if self.size or existing is None else None,
            role=self.role or ("edit" if existing is None else None),
            expires=plan.expiry(self.expires, self.days, now),
            teachers=self.teacher,
            storage=self.storage,
        )


def _remove(
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


@class_.command(epilog="Example: nodisk class add k8s --students 'Jan Kowalski'")
@click.argument("name")
@_roster_options
@click.option("--overcommit", is_flag=True, help="Allow more than the nodes' capacity.")
@_dry_run
@output_option
@lab_options
def add(
    *,
    options: LabOptions,
    name: str,
    roster: Path | None,
    students: str | None,
    reading: prompts.Reading,
    overcommit: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Add students to a class; existing students are not changed."""
    people = prompts.people(roster, students, reading)
    context = options.load_cluster()
    with contextlib.ExitStack() as stack:
        stack.enter_context(record.changing(context.state, name, dry_run=dry_run))
        existing = record.need(context.state, name)
        planned = plan.merge(existing, people, name=name, now=record.now(), whole=False)
        if dry_run:
            prompts.room_if_known(context, planned, overcommit)
            tables.show_plan(planned, output)
            return
        client = stack.enter_context(prompts.client(context))
        prompts.room(context, client, planned, overcommit)
        with tables.bar(f"class {name}", len(planned.new)) as step:
            made = actions.create(
                context,
                client,
                planned.record,
                folder=prompts.folder(existing, None),
                only=planned.new,
                on_done=step,
                test=bool(planned.new),
            )
    tables.report(made, output)


@class_.command(name="list", epilog="Example: nodisk class list")
@output_option
@lab_options
def list_(*, options: LabOptions, output: str) -> None:
    """List the classes and when they end."""
    found = record.load_all(options.load_cluster().state)
    now = record.now()
    rows = [
        {
            "name": c.name,
            "students": len(c.students),
            "suspended": sum(s.suspended for s in c.students),
            "size": c.size_name,
            "role": c.role,
            "expires": c.expires.isoformat(),
            "due": expiry.due(c, now),
        }
        for c in found
    ]
    if output == "json":
        ui.print_json(rows)
    else:
        ui.print_table(
            ["CLASS", "STUDENTS", "SUSPENDED", "SIZE", "ROLE", "DUE"],
            [[r["name"], r["students"], r["suspended"], r["size"], r["role"], r["due"]] for r in rows],
        )


@class_.command(epilog="Example: nodisk class show k8s --drift")
@click.argument("name")
@click.option(
    "--drift", is_flag=True, help="Compare with the cluster: show what was changed, removed or added by hand."
)
@click.option("--isolation", is_flag=True, help="Test the isolation again, with two students' credentials and pods.")
@output_option
@lab_options
def show(*, options: LabOptions, name: str, drift: bool, isolation: bool, output: str) -> None:
    """Show a class's students, and optionally its drift or isolation."""
    context = options.load_cluster()
    found = record.need(context.state, name)
    if drift:
        with prompts.client(context) as client:
            served, tokens = volumes.held(context.state, found), handouts.held(found)
            changed = differences.find(client, found, context.lab, served, tokens)
        if output == "json":
            ui.print_json([difference.to_json() for difference in changed])
        elif changed:
            ui.print_table(["NAMESPACE", "OBJECT", "WHAT"], [[d.namespace, d.object, d.what] for d in changed])
        else:
            ui.say(f"class {name} has no drift")
        if changed:
            raise NodiskError(
                f"{len(changed)} differences",
                hint="run nodisk class create with the roster to restore nodisk's objects",
            )
    elif isolation:
        with prompts.client(context) as client:
            tables.findings(actions.try_isolation(context, client, found, pods=True), output)
    else:
        tables.students(found, found.students, output, volumes=volumes.table(context.state, found))


@class_.command(epilog="Example: nodisk class remove k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1, required=True)
@_storage_policy
@_yes
@lab_options
def remove(*, options: LabOptions, name: str, student: tuple[str, ...], storage_policy: str | None, yes: bool) -> None:
    """Remove students and everything they have, or teachers."""
    context = options.load_cluster()
    with record.changing(context.state, name), prompts.client(context) as client:
        found = record.need(context.state, name)
        _remove(context, client, found, prompts.chosen(found, student), policy=storage_policy, yes=yes)


@class_.command(epilog="Example: nodisk class delete k8s --yes")
@click.argument("name")
@click.option(
    "--timeout", type=float, default=120, show_default=True, help="Seconds to wait until everything is deleted."
)
@_storage_policy
@_yes
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


@class_.command(epilog="Example: nodisk class reset k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1, required=True)
@_yes
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


@class_.command(epilog="Example: nodisk class suspend k8s; nodisk class resume k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1)
@lab_options
def suspend(*, options: LabOptions, name: str, student: tuple[str, ...]) -> None:
    """Suspend access of students or teachers (default: all students); their workloads keep running."""
    _set_suspended(options, name, student, True)


@class_.command(epilog="Example: nodisk class resume k8s")
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


@class_.command(epilog="Example: nodisk class rotate k8s jan-kowalski")
@click.argument("name")
@click.argument("student", nargs=-1)
@_out
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


@class_.command(epilog="Example: nodisk class extend k8s --expires 2027-06-30")
@click.argument("name")
@_expires
@_days
@_out
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


@class_.command(epilog="Example: nodisk class export k8s term-papers")
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


@class_.command(epilog="Example: nodisk class storage --remove k8s-jan-kowalski-1")
@click.option("--remove", multiple=True, metavar="VOLUME", help="Delete a volume that was kept (repeatable).")
@_yes
@output_option
@lab_options
def storage(*, options: LabOptions, remove: tuple[str, ...], yes: bool, output: str) -> None:
    """List student volumes of all classes, including deleted classes."""
    context = options.load_cluster()
    if remove:
        prompts.ask(f"Delete {', '.join(remove)} and all files in them?", yes)
        volumes.remove_kept(context.state, remove)
        ui.say(f"removed {', '.join(remove)}")
        return
    rows = volumes.rows(context.state)
    if output == "json":
        ui.print_json(rows)
    else:
        ui.print_table(
            ["VOLUME", "CLASS", "SIZE", "ON DISK", "STATE"],
            [
                [r["volume"], r["class"], volumes.words(r["size"]), volumes.words(r["on_disk"]), r["state"]]
                for r in rows
            ],
        )
