"""``nodisk class``: a teacher's class, from a roster to handouts and to the end of the term."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from nodisk import ui
from nodisk.classes import actions, expiry, failing, handouts, plan, prompts, record, tables
from nodisk.classes import drift as differences
from nodisk.classes import homes as volumes
from nodisk.commands import class_changes, class_codes, class_tell
from nodisk.commands.class_options import (
    Request,
    days_option,
    dry_run_option,
    expires_option,
    out_option,
    roster_options,
    storage_policy_option,
    yes_option,
)
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import NodiskError, UsageError


@click.group(name="class", epilog="Example: nodisk class create k8s --roster group-2.csv --days 120")
def class_() -> None:
    """Manage classes of students: create, list, suspend, delete."""


for changing in (
    class_changes.remove,
    class_changes.delete,
    class_changes.reset,
    class_changes.suspend,
    class_changes.resume,
    class_changes.rotate,
    class_changes.extend,
    class_changes.export,
    class_codes.codes,
    class_tell.tell,
):
    class_.add_command(changing)


@class_.command(epilog="Example: nodisk class create k8s --roster group-2.csv --size medium --teacher 'Anna Nowak'")
@click.argument("name")
@roster_options
@click.option(
    "--size", default=None, help="tiny, small, medium, large, or the path of your own size file.  [default: small]"
)
@expires_option
@days_option
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
@click.option(
    "--door/--no-door",
    default=None,
    help="Let students sign in with a browser, using codes from `nodisk class codes`.  [default: --door]",
)
@click.option(
    "--terminals/--no-terminals",
    default=None,
    help="Give each student a terminal in the browser, within their quota.  [default: --terminals]",
)
@out_option
@click.option("--overcommit", is_flag=True, help="Allow more than the nodes' or the server's disk capacity.")
@click.option(
    "--prune", is_flag=True, help="Remove students who are no longer in the roster, and everything they have."
)
@click.option("--new", is_flag=True, help="Refuse to change an existing class.")
@storage_policy_option
@yes_option
@dry_run_option
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
            absent, policy = planned.absent, asked.storage_policy
            class_changes.remove_accounts(context, client, planned.record, absent, policy=policy, yes=yes)
        tables.report_absent(pruned)
        with tables.bar(f"class {name}", len(pruned.record.students)) as step:
            made = actions.create(context, client, pruned.record, folder=folder, on_done=step)
    tables.report(made, output)


@class_.command(epilog="Example: nodisk class add k8s --students 'Jan Kowalski'")
@click.argument("name")
@roster_options
@click.option("--overcommit", is_flag=True, help="Allow more than the nodes' capacity.")
@dry_run_option
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
@click.option("--troubles", is_flag=True, help="Explain in plain words what fails in the students' namespaces.")
@output_option
@lab_options
def show(*, options: LabOptions, name: str, drift: bool, isolation: bool, troubles: bool, output: str) -> None:
    """Show a class's students, and optionally its drift, its isolation, or what fails for its students."""
    if drift + isolation + troubles > 1:
        raise UsageError("--drift, --isolation and --troubles are three questions: ask one")
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
    elif troubles:
        with prompts.client(context) as client:
            tables.troubles(failing.find(client, found), output)
    else:
        tables.students(found, found.students, output, volumes=volumes.table(context.state, found))


@class_.command(epilog="Example: nodisk class storage --remove k8s-jan-kowalski-1")
@click.option("--remove", multiple=True, metavar="VOLUME", help="Delete a volume that was kept (repeatable).")
@yes_option
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
