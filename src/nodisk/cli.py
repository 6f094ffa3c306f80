"""The command table, and the single place that turns errors into messages and exit statuses.

Each area of nodisk has its own module in ``commands``, imported only when one of its commands is used, so that
``nodisk --help`` stays fast.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from typing import NoReturn

import click

from nodisk import __version__, interrupts
from nodisk.errors import NodiskError, UsageError

# name → (module:attribute, line shown by `nodisk --help`). The help is repeated here so that listing the commands
# imports none of them; a test compares it with the first line of each command's help.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("nodisk.commands.spec:init", "Write a commented lab.yaml to start from."),
    "check": ("nodisk.commands.check:check", "Check for anything that would stop this lab from booting."),
    "build": ("nodisk.commands.assets:build", "Build or fetch what the machines boot: image, release, iPXE."),
    "hold": ("nodisk.commands.hold:hold", "Keep machines on the build that they have."),
    "upgrade": ("nodisk.commands.upgrade:upgrade", "Boot machines into the newer build, a few at a time."),
    "rollback": ("nodisk.commands.rollback:rollback", "Go back to the previous build."),
    "assets": ("nodisk.commands.assets:assets", "List, verify or prune the built assets."),
    "render": ("nodisk.commands.plan:render", "Show everything that one machine will be served."),
    "dhcp-snippet": (
        "nodisk.commands.dhcp_snippet:dhcp_snippet",
        "Print configuration for the room's DHCP server.",
    ),
    "serve": ("nodisk.commands.serving:serve", "Run the lab's server in the foreground."),
    "service": ("nodisk.commands.service:service", "Run the lab's server as a systemd service."),
    "arm": ("nodisk.commands.arming:arm", "Allow machines to enrol for a limited time."),
    "disarm": ("nodisk.commands.arming:disarm", "Stop machines from enrolling."),
    "pki": ("nodisk.commands.pki:pki", "Show or rotate the lab's certificates."),
    "lab": ("nodisk.commands.machines:lab", "Run a virtual lab: QEMU machines in a network namespace."),
    "machines": ("nodisk.commands.adoption:machines", "List, adopt, rename, swap, drain and forget machines."),
    "room": ("nodisk.commands.room:room", "Switch the whole room on before a lesson, and off after it."),
    "timetable": (
        "nodisk.commands.timetable:timetable",
        "Show the next lessons, and when the room goes on and off.",
    ),
    "power": ("nodisk.commands.power:power", "Switch machines on and off, and report the result."),
    "menu": ("nodisk.commands.menu:menu", "Show the boot menu, and set its password."),
    "next-boot": ("nodisk.commands.menu:next_boot", "Choose what machines start at their next boot."),
    "status": ("nodisk.commands.cluster:status", "Show one row per machine: stage, node, RAM."),
    "console": ("nodisk.commands.console:console", "Sign in to the room's pages in a browser, and invite others."),
    "events": ("nodisk.commands.events:events", "Show what happened, and when."),
    "kubectl": ("nodisk.commands.cluster:kubectl", "Run the release's kubectl against the lab."),
    "kubeconfig": ("nodisk.commands.cluster:kubeconfig", "Print the administrator's kubeconfig."),
    "ssh": ("nodisk.commands.cluster:ssh", "Log in to a machine by name."),
    "inventory": ("nodisk.commands.cluster:inventory", "Print the room as an Ansible inventory (JSON)."),
    "class": ("nodisk.commands.classes:class_", "Manage classes of students: create, list, suspend, delete."),
    "students": ("nodisk.commands.thesis:students", "Manage students (the thesis' bin/students)."),
    "student-tokens": (
        "nodisk.commands.thesis:student_tokens",
        "Print a student's token (the thesis' bin/student-tokens).",
    ),
    "backup": ("nodisk.commands.backup:backup", "Back up the room: make, list, prove, restore."),
    "addons": ("nodisk.commands.addons:addons", "Show, mirror, apply and remove the cluster's add-ons."),
    "verify": ("nodisk.commands.verify:verify", "Prove that the cluster works."),
    "conformance": ("nodisk.commands.conformance:conformance", "Run Kubernetes' own conformance suite."),
    "bench": ("nodisk.commands.bench:bench", "Measure how fast the cluster is."),
    "butane": ("nodisk.commands.butane:butane", "Translate Butane or Container Linux Config to Ignition."),
}


class LazyGroup(click.Group):
    """A group that imports a command only to run it or show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names, in the order of setting up a lab."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        with interrupts.importing():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: nodisk init && nodisk check && nodisk build && nodisk serve",
)
@click.version_option(__version__, message="nodisk %(version)s")
@click.option("-v", "--verbose", count=True, help="Show the commands that nodisk runs (-vv: show everything).")
def nodisk(verbose: int) -> None:
    """Turn a room of diskless PCs into a Kubernetes cluster for a class."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    if verbose:
        logging.getLogger("nodisk").setLevel(logging.DEBUG)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line ``argv`` (default: this process's arguments) and exit with its status."""
    interrupts.install()
    # Daemons that run as other users need to enter the state's folders, and image folders get these modes. Secrets are
    # written with explicit modes.
    os.umask(0o022)
    try:
        status = _run(argv)
    except KeyboardInterrupt:
        status = 130
    except click.Abort:
        status = 130 if interrupts.came() else _unanswered()
    if status == 130 or interrupts.came():
        with contextlib.suppress(OSError):
            click.echo("\ninterrupted", err=True)
        interrupts.leave()
    sys.exit(status)


def _unanswered() -> int:
    """Report a prompt that could not be answered because stdin is closed, as in a script."""
    error = UsageError("confirmation needed, but stdin is closed", hint="pass --yes to confirm without a prompt")
    click.echo(err=True)
    complain(error)
    return error.exit_code


def _run(argv: list[str] | None) -> int:
    """Run the command line and return its status; on an error, print it and return its status."""
    try:
        status = nodisk.main(args=argv, prog_name="nodisk", standalone_mode=False)
    except NodiskError as error:
        complain(error)
        return error.exit_code
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader closed the pipe (as head does): not an error
        return 0
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"error: {error.strerror or error}{where}", err=True)
        return 1
    return status if isinstance(status, int) else 0


def complain(error: NodiskError) -> None:
    """Print an error's message and hint."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.secho("hint: ", bold=True, nl=False, err=True)
        click.echo(error.hint, err=True)
