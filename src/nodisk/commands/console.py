"""``nodisk console``: links to sign in to the room's pages, and who has one."""

from __future__ import annotations

from datetime import datetime

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nodisk import ui
from nodisk.classes import record
from nodisk.commands import opening
from nodisk.commands.durations import Duration
from nodisk.console import address, rights
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.records import running
from nodisk.records.console_access import LINK, ConsoleRole, Entry
from nodisk.records.database import Database
from nodisk.records.events import Kind, iso

PAGE = "sign-in.html"
"""In the run folder: what a browser opens to come to the link."""
LONGEST_NAME = 64
WEEK = 7 * 86400.0
LONGEST_INVITATION = 31 * 86400.0
MONTH = 30 * 86400.0
LONGEST_TOKEN = 366 * 86400.0
_role_option = click.option(
    "--role",
    type=click.Choice([str(role) for role in ConsoleRole]),
    default=str(ConsoleRole.VIEWER),
    show_default=True,
    help="viewer: the room and its machines. teacher: also the classes that name them. admin: all.",
)


@click.group(invoke_without_command=True, epilog="Example: nodisk console")
@lab_options
@output_option
@click.option(
    "--open/--no-open",
    "opens",
    default=True,
    help="Open the link in the browser of this graphical session, if it is one.",
)
@click.pass_context
def console(ctx: click.Context, options: LabOptions, output: str, *, opens: bool) -> None:
    """Sign in to the room's pages in a browser, and invite others.

    Without a subcommand, prints a link that signs in an administrator once, within 15 minutes, and opens it if you sit
    at the server's own screen. `nodisk serve` serves the pages over HTTPS, only to browsers on the server itself unless
    lab.yaml says `console: {listen: lab}`.
    """
    if ctx.invoked_subcommand is None:
        context = options.load()
        link = _invite(context, output, "root", ConsoleRole.ADMIN, LINK)
        # A program that asks for JSON opens it itself; and there is no page where no server runs.
        if opens and output != "json" and running.pid(context.state) is not None:
            opening.link(link, context.state.run / PAGE)


@console.command(epilog="Example: nodisk console invite 'Anna Nowak' --role viewer")
@lab_options
@output_option
@click.argument("name")
@_role_option
@click.option(
    "--for", "seconds", type=Duration(), default=WEEK, help="How long the link can be used, at most 31d.  [default: 7d]"
)
def invite(options: LabOptions, output: str, name: str, role: str, seconds: float) -> None:
    """Print a link that signs somebody else in, once.

    A second invitation for the same name replaces the first. A session lasts 12 hours. A teacher's classes are those
    created with `nodisk class create --teacher NAME`, with exactly that name.
    """
    if not 0 < seconds <= LONGEST_INVITATION:
        raise UsageError("a link can be used for at most 31d", hint="such as --for 7d")
    _invite(options.load(), output, _name(name), ConsoleRole(role), seconds)


@console.command(epilog="Example: nodisk console token dashboard --role viewer --for 90d > dashboard.token")
@lab_options
@output_option
@click.argument("name")
@_role_option
@click.option(
    "--for", "seconds", type=Duration(), default=MONTH, help="How long the token works, at most 366d.  [default: 30d]"
)
def token(options: LabOptions, output: str, name: str, role: str, seconds: float) -> None:
    """Print a token for a program that uses the console's API (docs/reference/console-api.json).

    It is shown once: the lab stores only its hash. `nodisk console list` shows who has one; `nodisk console revoke`
    withdraws all tokens of a name.
    """
    if not 0 < seconds <= LONGEST_TOKEN:
        raise UsageError("a token works for at most 366d", hint="such as --for 90d")
    who, context = _name(name), options.load()
    with Database(context.state.database) as database:
        made = database.console.issue(who, ConsoleRole(role), seconds=seconds)
        database.record(Kind.DAEMON, f"console: {who} ({role}) got a token", source="nodisk")
        ends = database.now() + seconds
    if output == "json":
        ui.print_json(
            {"token": made, "name": who, "role": role, "until": iso(ends), "api": f"{address.base(context)}/api"}
        )
        return
    click.echo(made)
    ui.say(f"A program that sends it as Authorization: Bearer is {who} ({role}) until {_clock(ends)}.")
    ui.say(f"The API is at {address.base(context)}/api, with a certificate of {context.state.pki / 'server-ca.crt'}.")


def _name(text: str) -> str:
    """A name to invite or to issue to; raises UsageError."""
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise UsageError(f"invalid name: use 1 to {LONGEST_NAME} printable characters")
    return text.strip()


@console.command(name="list", epilog="Example: nodisk console list")
@lab_options
@output_option
def list_(options: LabOptions, output: str) -> None:
    """Show who is signed in or invited, and whose programs have a token."""
    with Database(options.load().state.database, reading=True) as database:
        found = [("signed in", one) for one in database.console.sessions()]
        found += [("invited", one) for one in database.console.invitations()]
        found += [("token", one) for one in database.console.tokens()]
    if output == "json":
        ui.print_json({"access": [_json(state, one) for state, one in found]})
        return
    rows = [(one.name, str(one.role), state, _clock(one.made), _clock(one.ends)) for state, one in found]
    ui.print_table(["NAME", "ROLE", "STATE", "SINCE", "UNTIL"], rows)


@console.command(epilog="Example: nodisk console revoke 'Anna Nowak'")
@lab_options
@output_option
@click.argument("name")
def revoke(options: LabOptions, output: str, name: str) -> None:
    """Sign somebody out everywhere, and withdraw their link and their programs' tokens.

    Pages that they have open stop updating within two seconds.
    """
    with Database(options.load().state.database) as database:
        count = database.console.revoke(name)
        if not count:
            raise UsageError(
                f"nobody named {name!r} is signed in or invited, or has a token", hint="see nodisk console list"
            )
        database.record(Kind.DAEMON, f"console: {name} was signed out", source="nodisk")
    if output == "json":
        ui.print_json({"name": name, "revoked": count})
    else:
        ui.say(f"{name}: {count} of sessions, links and tokens have ended")


def _invite(context: LabContext, output: str, name: str, role: ConsoleRole, seconds: float) -> str:
    """Make a link and print it; returns it."""
    with Database(context.state.database) as database:
        code = database.console.invite(name, role, seconds=seconds)
        database.record(Kind.DAEMON, f"console: {name} ({role}) was invited", source="nodisk")
        ends = database.now() + seconds
    link = f"{address.base(context)}/sign-in?code={code}"
    serves = running.pid(context.state) is not None
    taught = _taught(context, name) if role is ConsoleRole.TEACHER else None
    if output == "json":
        found = {"link": link, "name": name, "role": str(role), "until": iso(ends), "server": serves}
        ui.print_json(found if taught is None else found | {"classes": taught})
        return link
    click.echo(link)
    ui.say(f"It signs in {name} ({role}) once, until {_clock(ends)}.")
    if taught is not None:
        ui.say(f"Classes: {', '.join(taught)}." if taught else _no_class(name))
    if fingerprint := _fingerprint(context):
        ui.say(
            f"The browser doesn't know who signed the page's certificate: import {context.state.pki / 'server-ca.crt'},"
            f" or compare its SHA-256 fingerprint, {fingerprint}."
        )
    if not serves:
        ui.say("The lab's server doesn't run: the link works once it does.")
    return link


def _taught(context: LabContext, name: str) -> list[str]:
    return [one.name for one in record.load_all(context.state) if name in rights.names_of_teachers(one)]


def _no_class(name: str) -> str:
    return f"No class has a teacher of that name yet: nodisk class create CLASS --roster FILE --teacher '{name}'"


def _fingerprint(context: LabContext) -> str:
    """Of the certificate that the console shows, as browsers print it; '' where there is none yet."""
    try:
        certificate = x509.load_pem_x509_certificate((context.state.pki / "server.crt").read_bytes())
    except OSError:
        return ""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _json(state: str, one: Entry) -> dict[str, str]:
    return {"name": one.name, "role": str(one.role), "state": state, "since": iso(one.made), "until": iso(one.ends)}


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
