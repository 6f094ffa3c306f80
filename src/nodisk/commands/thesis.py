"""The thesis' commands, as thin aliases: ``students`` is a class called students whose namespaces have no prefix."""

from __future__ import annotations

from pathlib import Path

import click

from nodisk import ui, yamltext
from nodisk.classes import actions, plan, prompts, reconcile, record, sizes
from nodisk.classes.features import RBAC
from nodisk.classes.record import Account, Class
from nodisk.classes.roster import from_names
from nodisk.context import LabContext, LabOptions, lab_options
from nodisk.errors import NodiskError, UsageError
from nodisk.kube.client import Client
from nodisk.parallel import all_or_raise
from nodisk.values import Name

CLASS = "students"


@click.command(epilog='Example: nodisk students "anna jan" create')
@click.argument("usernames", required=False)
@click.argument("command", required=False, type=click.Choice(["create", "get", "describe", "delete"]))
@click.option("--overcommit", is_flag=True, help="For create: allow more than the nodes' capacity.")
@lab_options
def students(options: LabOptions, usernames: str | None, command: str | None, *, overcommit: bool) -> None:
    """Manage students (the thesis' bin/students)."""
    context = options.load_cluster()
    with prompts.client(context) as client:
        if usernames in (None, "", "list"):
            _list(client)
            return
        if command is None:
            raise UsageError(
                "no command given: use create, get, describe or delete", hint='nodisk students "anna jan" create'
            )
        words = (usernames or "").split()
        with record.changing(context.state, CLASS):
            if command == "create":
                _create(context, client, words, overcommit=overcommit)
            elif command == "delete":
                _delete(context, client, words)
            else:
                _get(client, record.need(context.state, CLASS), words, full=command == "describe")


@click.command(epilog="Example: nodisk student-tokens anna | ssh anna@pc7 'cat > token'")
@click.argument("name")
@lab_options
def student_tokens(options: LabOptions, name: str) -> None:
    """Print a student's token (the thesis' bin/student-tokens)."""
    context = options.load_cluster()
    with record.changing(context.state, CLASS), prompts.client(context) as client:
        found = record.need(context.state, CLASS)
        account = found.student(name)
        # A cluster keeps no tokens since Kubernetes 1.24: this asks for one, as the class's handouts do.
        wanted = reconcile.desired_in(client, context.lab)(found)
        (made,) = all_or_raise(reconcile.mint(client, found, wanted, {account.label: account}).values())
        click.echo(made.token)


def _list(client: Client) -> None:
    spaces = client.list("v1", "Namespace")
    ui.print_table(
        ["NAME", "STATUS", "CREATED"],
        [
            [s["metadata"]["name"], s.get("status", {}).get("phase", ""), s["metadata"]["creationTimestamp"]]
            for s in spaces
        ],
    )


def _create(context: LabContext, client: Client, words: list[str], *, overcommit: bool) -> None:
    for word in words:
        try:
            Name.parse(word)
        except ValueError as error:
            raise UsageError(str(error)) from error
    existing = record.load(context.state, CLASS)
    planned = plan.merge(
        existing,
        from_names(",".join(words)),
        name=CLASS,
        now=record.now(),
        prefix="",
        size=sizes.find("medium") if existing is None else None,
        role="admin" if existing is None else None,
        whole=False,
    )
    room = actions.weigh(client, planned, overcommit=overcommit)
    for line in room.short:
        ui.say(f"warning: overcommitted: {line}")
    chosen = [student for student in planned.record.students if student.name in words]
    folder = Path(planned.record.out) if planned.record.out else context.state.classes / CLASS
    made = actions.create(context, client, planned.record, folder=folder, only=chosen, test=False)
    actions.raise_first(made.failed)
    for student in chosen:
        _told(made.record, student, "configured" if student not in planned.new else "created")
    for warning in made.warnings:
        ui.say(f"warning: {warning}")
    ui.say(f"kubeconfigs are in {folder}; for a bare token, run nodisk student-tokens NAME")


def _told(found: Class, student: Account, what: str) -> None:
    for kind, name in (
        ("namespace", found.namespace(student)),
        ("serviceaccount", student.service_account),
        ("rolebinding", "nodisk-student"),
    ):
        click.echo(f'{kind} "{name}" {what}')


def _delete(context: LabContext, client: Client, words: list[str]) -> None:
    found = record.need(context.state, CLASS)
    chosen = record.each_once(found.student(word) for word in words)
    if {student.key for student in chosen} == {student.key for student in found.students}:
        actions.delete(context, client, found, limit=120)
    else:
        actions.remove(context, client, found, chosen)
    for student in chosen:
        _told(found, student, "deleted")


def _get(client: Client, found: Class, words: list[str], *, full: bool) -> None:
    missing = []
    for student in (found.student(word) for word in words):
        parts = [
            ("v1", "Namespace", found.namespace(student), None),
            ("v1", "ServiceAccount", student.service_account, found.identities),
            (f"{RBAC}/v1", "RoleBinding", "nodisk-student", found.namespace(student)),
            ("v1", "ResourceQuota", "nodisk", found.namespace(student)),
        ]
        for version, kind, name, namespace in parts:
            try:
                there = client.get(version, kind, name, namespace=namespace)
            except NodiskError as error:
                missing.append(error.message)
                continue
            there["metadata"].pop("managedFields", None)
            if full:
                click.echo(yamltext.dump(there) + "---")
            else:
                click.echo(f"{kind.lower()}/{name}  {there['metadata']['creationTimestamp']}")
    if missing:
        raise NodiskError("\n".join(missing))
