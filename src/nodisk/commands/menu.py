"""``nodisk menu`` and ``nodisk next-boot``."""

from __future__ import annotations

import sys
import time

import click

from nodisk import ui
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.machines import next_boot as next_boot_
from nodisk.records import menu_password, running
from nodisk.records.database import Database
from nodisk.records.events import Kind, iso
from nodisk.records.next_boots import NextBoot
from nodisk.spec import menu as menu_
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine
from nodisk.values import Mac


@click.group()
def menu() -> None:
    """Show the boot menu, and set its password.

    `menu:` in lab.yaml says what a machine offers before it boots, for how long, and what it starts by default.
    """


@menu.command(epilog="Example: nodisk menu show")
@lab_options
@output_option
def show(options: LabOptions, output: str) -> None:
    """Show what each machine starts by default, and what else its menu offers."""
    context = options.load()
    wishes, password = _wishes(context), menu_password.is_set(context.state.menu_password)
    rows = [(machine, menu_.choice(context.lab, machine), wishes.get(machine.mac)) for machine in context.lab.machines]
    asks = {name: menu_.asks(context.lab, name) for name in next_boot_.every(context.lab)}
    if output == "json":
        machines = [
            {
                "machine": str(machine.name),
                "default": choice.default,
                "timeout": choice.timeout,
                "next_boot": _json(wish),
            }
            for machine, choice, wish in rows
        ]
        entries = [{"name": name, "asks_for_password": needs} for name, needs in asks.items()]
        ui.print_json({"machines": machines, "entries": entries, "password_set": password})
        return
    cells = [
        (
            str(machine.name),
            choice.default,
            f"{choice.timeout} s" if choice.timeout else "no menu",
            next_boot_.words(wish),
        )
        for machine, choice, wish in rows
    ]
    ui.print_table(("MACHINE", "DEFAULT", "MENU", "NEXT BOOT"), cells)
    click.echo("\nEntries: " + ", ".join(name + (" (password)" if needs else "") for name, needs in asks.items()))
    if not password:
        click.echo("No password is set, so nobody can start what asks for one: nodisk menu password")


@menu.command(epilog="Example: nodisk menu password <password.txt")
@lab_options
@click.option("--forget", is_flag=True, help="Remove the password; nobody can then start what asks for one.")
def password(options: LabOptions, forget: bool) -> None:
    """Set the menu's password, for its shell and for entries with `password: true`.

    On a terminal, asks without echo; otherwise, reads the first line of stdin. The server stores only a hash, readable
    only by root. iPXE sends the password over plain HTTP, so use one that you use for nothing else. A running server
    applies it at once.
    """
    state = options.load().state
    file = state.menu_password
    if forget:
        there = menu_password.forget(file)
        if there:
            running.record(state, "the menu's password was forgotten")
        click.echo("forgotten" if there else "there was none")
        return
    if sys.stdin.isatty():
        word = str(click.prompt("Password of the menu", hide_input=True, confirmation_prompt=True, err=True))
    else:
        word = sys.stdin.readline(menu_password.LONGEST + 2).rstrip("\r\n")
    menu_password.save(file, word)
    running.record(state, "the menu's password was set")
    ui.say("kept")


@click.command(epilog="Example: nodisk next-boot w1 disk --once")
@lab_options
@output_option
@click.argument("words", nargs=-1, metavar="[NAME]... [ENTRY]")
@click.option("--all", "every", is_flag=True, help="Every machine of the lab, instead of names.")
@click.option("--once", is_flag=True, help="Choose it for one boot only, then return to the default.")
@click.option("--clear", is_flag=True, help="Clear the choice, and return to the default.")
@click.option("--dry-run", is_flag=True, help="Show what would be chosen; write nothing.")
def next_boot(  # noqa: PLR0917 - click hands over by name
    options: LabOptions, output: str, words: tuple[str, ...], every: bool, once: bool, clear: bool, dry_run: bool
) -> None:
    """Choose what machines start at their next boot.

    A machine then starts it without showing a menu, whatever its default is. Without arguments, or with only a name,
    shows what is chosen. ENTRY is lab, disk, or an entry of `menu:` in lab.yaml that asks for no password. The running
    server applies the choice when the machine next asks for its boot script. With --once, a machine that asks again
    within the same boot gets the same answer, and its next boot uses the default.
    """
    context = options.load()
    names, entry = _meant(context, words, every=every, clear=clear)
    if entry is None and not clear:
        if once:
            raise UsageError("--once needs an entry", hint="nodisk next-boot w1 disk --once")
        _show(context, output, [machine_named(context.lab, name) for name in names] or context.lab.machines)
        return
    if not names and not every:
        raise UsageError("name a machine", hint="nodisk next-boot w1 disk --once")
    chosen = {name: machine_named(context.lab, name) for name in names}.values() or context.lab.machines
    if entry is not None:
        next_boot_.need_able(context.lab, entry)
    said = "its default" if entry is None else next_boot_.words(NextBoot(entry, once, time.time()))
    if dry_run:
        for machine in chosen:
            click.echo(f"would start at the next boot of {machine.name}: {said}")
        return
    with Database(context.state.database) as database:
        for machine in chosen:
            if entry is None:
                database.next_boots.clear(machine.mac)
            else:
                database.next_boots.set(machine.mac, entry, once=once)
            name = str(machine.name)
            database.record(Kind.DAEMON, f"next boot: {said}", source="nodisk", mac=machine.mac, machine=name)
    _show(context, output, [*chosen])


def _meant(
    context: LabContext, words: tuple[str, ...], *, every: bool, clear: bool
) -> tuple[tuple[str, ...], str | None]:
    """Names of machines, and the entry that follows them; None: there is none."""
    if clear and words and context.lab.machine(words[-1]) is None and words[-1] in next_boot_.every(context.lab):
        raise UsageError("--clear takes no entry", hint="nodisk next-boot w1 --clear")
    if every:
        if len(words) > (0 if clear else 1):
            raise UsageError("name machines, or pass --all: one of them", hint="nodisk next-boot --all disk --once")
        return (), words[0] if words else None
    # A name alone asks what is chosen.
    return (words, None) if clear or len(words) < 2 else (words[:-1], words[-1])


def _wishes(context: LabContext) -> dict[Mac, NextBoot]:
    with Database(context.state.database, reading=True) as database:
        return database.next_boots.all()


def _show(context: LabContext, output: str, machines: tuple[Machine, ...] | list[Machine]) -> None:
    wishes = _wishes(context)
    if output == "json":
        shown = [{"machine": str(machine.name), "next_boot": _json(wishes.get(machine.mac))} for machine in machines]
        ui.print_json({"machines": shown})
        return
    rows = [(str(one.name), next_boot_.shown(context.lab, wishes.get(one.mac))) for one in machines]
    ui.print_table(("MACHINE", "NEXT BOOT"), rows)


def _json(wish: NextBoot | None) -> dict[str, object] | None:
    if wish is None:
        return None
    served = None if wish.served is None else iso(wish.served)
    return {"entry": wish.entry, "once": wish.once, "since": iso(wish.since), "served": served}
