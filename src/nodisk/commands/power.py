"""``nodisk power``: on, off, cycle, status, login, wake."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from nodisk import ui
from nodisk.commands import switching
from nodisk.context import LabOptions, lab_options, output_option
from nodisk.errors import UsageError
from nodisk.machines import passwords
from nodisk.machines import wake as wake_
from nodisk.machines.buttons.button import Answer, Outcome, Wish
from nodisk.machines.buttons.press import Way
from nodisk.spec.lookup import machine_named
from nodisk.spec.model_power import PowerKind

F = TypeVar("F", bound=Callable[..., Any])
HEADINGS = ("MACHINE", "BY", "ANSWER", "STATE", "DETAIL")


@click.group()
def power() -> None:
    """Switch machines on and off, and report the result.

    Uses Wake-on-LAN, IPMI, Redfish, Intel AMT or a smart plug, as `power:` in lab.yaml says for each machine, and QEMU
    for a virtual lab. Every answer is confirmed (it was seen to work), asked (the request was accepted, but nothing
    more is known) or unknown (with the reason).
    """


_dry = click.option("--dry-run", is_flag=True, help="Show which machines would be switched, and how; send nothing.")
_cut = click.option("--cut", is_flag=True, help="Cut the power at once, without a shutdown.")
_drain = click.option("--drain", is_flag=True, help="Move pods to other nodes first, where possible.")


@dataclass(frozen=True, slots=True)
class _Order:
    """What `on`, `off` and `cycle` were told."""

    options: LabOptions
    output: str
    chosen: switching.Chosen
    way: Way
    drain: bool
    dry_run: bool

    def obey(self, wish: Wish, what: str) -> None:
        """Switch the machines and exit as they answer (``switching.judge``); ``what`` is the wish in words."""
        context = self.options.load()
        machines = self.chosen(context)
        if self.dry_run:
            switching.would(context, machines, what)
            return
        with switching.drained(context, machines if self.drain else ()):
            answers = switching.press_machines(context, machines, wish, self.way, self.output)
        switching.show(answers, self.output)
        switching.judge(answers)


def _ordered(*, stagger: float, off: bool = True) -> Callable[[Callable[[_Order], None]], Callable[..., None]]:
    """The options of `on`, `off` and `cycle`; ``off``: those that say how machines are switched off, too."""

    def decorate(command: Callable[[_Order], None]) -> Callable[..., None]:
        def wrapper(
            *,
            options: LabOptions,
            output: str,
            chosen: switching.Chosen,
            stagger: float,
            within: float,
            dry_run: bool,
            drain: bool = False,
            cut: bool = False,
        ) -> None:
            command(_Order(options, output, chosen, Way(within, stagger, cut), drain, dry_run))

        how = (_drain, _cut) if off else ()
        found = functools.update_wrapper(wrapper, command)
        for option in (_dry, switching.within_option, switching.stagger_option(stagger), *reversed(how)):
            found = option(found)
        return lab_options(output_option(switching.chosen_machines(found)))

    return decorate


@power.command(epilog="Example: nodisk power on --all --stagger 2")
@_ordered(stagger=switching.STAGGER, off=False)
def on(order: _Order) -> None:
    """Switch machines on, and check that they are on.

    A machine with only Wake-on-LAN counts as on once it answers ping or reports a boot stage.
    """
    order.obey(Wish.ON, "switch on")


@power.command(epilog="Example: nodisk power off --role worker --drain")
@_ordered(stagger=0.0)
def off(order: _Order) -> None:
    """Shut machines down, and check that they are off.

    Uses the BMC's ACPI button, or ssh where there is no BMC; a machine that was told to shut down over ssh and has been
    silent since then counts as off.
    """
    order.obey(Wish.OFF, "cut the power of" if order.way.cut else "shut down")


@power.command(epilog="Example: nodisk power cycle w3 --cut")
@_ordered(stagger=switching.STAGGER)
def cycle(order: _Order) -> None:
    """Switch machines off and on again.

    A machine that can't be confirmed to be off is not switched on again.
    """
    order.obey(Wish.CYCLE, "switch off and on")


@power.command(name="status", epilog="Example: nodisk power status --all --output json")
@lab_options
@output_option
@switching.chosen_machines
@switching.within_option
def power_status(options: LabOptions, output: str, chosen: switching.Chosen, within: float) -> None:
    """Show which machines are on.

    A machine with only Wake-on-LAN that doesn't answer is unknown: there is no way to tell whether it is off.
    """
    context = options.load()
    answers = switching.press_machines(context, chosen(context), Wish.STATUS, Way(min(within, 20.0)), "json")
    switching.show(answers, output)
    if output != "json":
        ui.print_table(HEADINGS, map(_cells, answers))
    if any(answer.outcome is Outcome.UNKNOWN for answer in answers):
        sys.exit(1)


@power.command(epilog="Example: nodisk power login w3 <password.txt")
@lab_options
@click.argument("name")
@click.option("--forget", is_flag=True, help="Remove the stored password.")
def login(options: LabOptions, name: str, forget: bool) -> None:
    """Store the password of a machine's BMC or plug.

    On a terminal, asks without echo; otherwise, reads the first line of stdin. The password is stored on the server,
    readable only by root, and never shown.
    """
    context = options.load()
    machine = machine_named(context.lab, name)
    if machine.power.kind is PowerKind.WAKE_ON_LAN or machine.power.user is None:
        raise UsageError(f"{name} has no `power:` with a `user` in {context.file}, so there is no password to store")
    if forget:
        click.echo("forgotten" if passwords.forget(context.state, machine) else "there was none")
        return
    if sys.stdin.isatty():
        word = str(click.prompt(f"Password of {machine.power.user} for {name}", hide_input=True, err=True))
    else:
        word = sys.stdin.readline(passwords.LONGEST + 2).rstrip("\r\n")
    passwords.save(context.state, machine, word)
    ui.say(f"kept; nodisk power status {name} tries it")


@power.command(epilog="Example: nodisk power wake --all")
@lab_options
@switching.chosen_machines
@click.option("--dry-run", is_flag=True, help="Show which machines would be woken; send nothing.")
def wake(options: LabOptions, chosen: switching.Chosen, dry_run: bool) -> None:
    """Send Wake-on-LAN packets, whatever `power:` says, and don't wait.

    Broadcasts each machine's magic packet from the server's network interface. Wake-on-LAN must be enabled in the
    firmware. Machines don't answer; `nodisk power on` waits until they are seen.
    """
    context = options.load()
    machines = chosen(context)
    if context.netns is not None:
        raise UsageError(f"{context.lab.name} is a virtual lab", hint="nodisk power on --all")
    if dry_run:
        click.echo(f"would wake: {', '.join(f'{machine.name} ({machine.mac})' for machine in machines)}")
        return
    network, nic = context.lab.network, switching.nic_of(context)
    wake_.send([machine.mac for machine in machines], server=network.server, subnet=network.subnet, interface=nic)
    click.echo(f"sent wake-up packets from {nic} to: {', '.join(str(machine.name) for machine in machines)}")


def _cells(answer: Answer) -> tuple[str, ...]:
    return (answer.machine, answer.how, str(answer.outcome), str(answer.state), answer.detail)
