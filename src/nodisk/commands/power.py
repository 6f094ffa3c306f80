"""``nodisk power``: on, off, cycle, status, login, wake."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import click

from nodisk import ui
from nodisk.context import LabContext, LabOptions, lab_options, output_option
from nodisk.errors import EnvironmentProblem, NodiskError, TimedOut, UsageError
from nodisk.kube import drain
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError
from nodisk.machines import passwords
from nodisk.machines import wake as wake_
from nodisk.machines.buttons.button import Answer, Outcome, Wish, stop_if_interrupted
from nodisk.machines.buttons.choose import button
from nodisk.machines.buttons.press import Way, press_all
from nodisk.machines.remains import need_root
from nodisk.server import host
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine, PowerKind
from nodisk.values import Role

F = TypeVar("F", bound=Callable[..., Any])
WITHIN = 120.0
"""Seconds for one machine: a PC's firmware takes up to a minute until anything is seen of it."""
STAGGER = 1.0
"""Seconds between the starts of two machines: thirty PCs draw their inrush current within half a minute."""
DRAIN_WITHIN = 120.0
"""Seconds for pods to end."""
HEADINGS = ("MACHINE", "BY", "ANSWER", "STATE", "DETAIL")


@click.group()
def power() -> None:
    """Switch machines on and off, and say what came of it.

    By Wake-on-LAN, IPMI, Redfish, Intel AMT or a smart plug, as `power:` in lab.yaml says for each machine; a virtual
    lab's machines by QEMU. Every answer is confirmed (it was seen), asked (the request was taken, no more is known) or
    unknown (with the reason).
    """


def _chosen(command: F) -> F:
    """Names, --role or --all; the command gets ``chosen: Callable[[LabContext], machines]``."""

    @click.argument("names", nargs=-1, metavar="[NAME]...")
    @click.option("--role", type=click.Choice([role.value for role in Role]), help="Select the machines of one role.")
    @click.option("--all", "every", is_flag=True, help="Select every machine of the lab.")
    @functools.wraps(command)
    def wrapper(*args: Any, names: tuple[str, ...], role: str | None, every: bool, **kwargs: Any) -> Any:
        if sum((bool(names), role is not None, every)) != 1:
            raise UsageError("name machines, or pass --role, or --all: one of them", hint="nodisk power status --all")

        def choose(context: LabContext) -> tuple[Machine, ...]:
            if names:
                return tuple({name: machine_named(context.lab, name) for name in names}.values())
            return context.lab.machines if role is None else context.lab.by_role(Role(role))

        return command(*args, chosen=choose, **kwargs)

    return cast("F", wrapper)


_within = click.option(
    "--within",
    type=click.FloatRange(min=1, max=3600),
    default=WITHIN,
    show_default=True,
    help="Seconds to wait for one machine, all in all.",
)
_dry = click.option("--dry-run", is_flag=True, help="Show which machines would be switched, and how; ask nobody.")
_cut = click.option("--cut", is_flag=True, help="Take the power away at once, without a shutdown.")
_drain = click.option("--drain", "drain_", is_flag=True, help="Move pods to other nodes first, as far as they can go.")


def _stagger(default: float) -> Callable[[F], F]:
    return click.option(
        "--stagger",
        type=click.FloatRange(min=0, max=600),
        default=default,
        show_default=True,
        help="Seconds between the starts of two machines.",
    )


Chosen = Callable[[LabContext], tuple[Machine, ...]]


@power.command(epilog="Example: nodisk power on --all --stagger 2")
@lab_options
@output_option
@_chosen
@_stagger(STAGGER)
@_within
@_dry
def on(options: LabOptions, output: str, chosen: Chosen, stagger: float, within: float, dry_run: bool) -> None:  # noqa: PLR0917
    """Switch machines on, and see whether they are.

    A machine with nothing but Wake-on-LAN is seen once it answers ping or reports a step of its boot.
    """
    context = options.load()
    machines = chosen(context)
    if not dry_run:
        _conclude(press_machines(context, machines, Wish.ON, Way(within, stagger), output), output)
    else:
        _would(context, machines, "switch on")


@power.command(epilog="Example: nodisk power off --role worker --drain")
@lab_options
@output_option
@_chosen
@_drain
@_cut
@_stagger(0.0)
@_within
@_dry
def off(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    chosen: Chosen,
    drain_: bool,
    cut: bool,
    stagger: float,
    within: float,
    dry_run: bool,
) -> None:
    """Shut machines down, and see whether they did.

    By the BMC's ACPI button, or over ssh where there is none; then a machine that was told to shut down and is silent
    since counts as off.
    """
    context = options.load()
    machines = chosen(context)
    if dry_run:
        _would(context, machines, "cut the power of" if cut else "shut down")
        return
    with drained(context, machines if drain_ else ()):
        answers = press_machines(context, machines, Wish.OFF, Way(within, stagger, cut), output)
    _conclude(answers, output)


@power.command(epilog="Example: nodisk power cycle w3 --cut")
@lab_options
@output_option
@_chosen
@_drain
@_cut
@_stagger(STAGGER)
@_within
@_dry
def cycle(  # noqa: PLR0917 - click hands over by name
    options: LabOptions,
    output: str,
    chosen: Chosen,
    drain_: bool,
    cut: bool,
    stagger: float,
    within: float,
    dry_run: bool,
) -> None:
    """Switch machines off and on again.

    One that can't be seen to be off is not switched on again.
    """
    context = options.load()
    machines = chosen(context)
    if dry_run:
        _would(context, machines, "switch off and on")
        return
    with drained(context, machines if drain_ else ()):
        answers = press_machines(context, machines, Wish.CYCLE, Way(within, stagger, cut), output)
    _conclude(answers, output)


@power.command(name="status", epilog="Example: nodisk power status --all --output json")
@lab_options
@output_option
@_chosen
@_within
def power_status(options: LabOptions, output: str, chosen: Chosen, within: float) -> None:
    """Say which machines are on.

    A machine with nothing but Wake-on-LAN that doesn't answer is unknown: nobody can tell whether it is off.
    """
    context = options.load()
    answers = press_machines(context, chosen(context), Wish.STATUS, Way(min(within, 20.0)), "json")
    if output == "json":
        ui.print_json({"machines": [answer.to_json() for answer in answers]})
    else:
        ui.print_table(HEADINGS, map(_cells, answers))
    if any(answer.outcome is Outcome.UNKNOWN for answer in answers):
        sys.exit(1)


@power.command(epilog="Example: nodisk power login w3 <password.txt")
@lab_options
@click.argument("name")
@click.option("--forget", is_flag=True, help="Remove the password that is kept.")
def login(options: LabOptions, name: str, forget: bool) -> None:
    """Keep the password of a machine's BMC or plug.

    Asks without an echo on a terminal; otherwise reads the first line of stdin. It is kept on the server, readable by
    root alone, and never shown.
    """
    context = options.load()
    machine = machine_named(context.lab, name)
    if machine.power.kind is PowerKind.WAKE_ON_LAN or machine.power.user is None:
        raise UsageError(f"{name} has no `power:` with a `user` in {context.file}, so there is no password to keep")
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
@_chosen
@click.option("--dry-run", is_flag=True, help="Show which machines would be woken; send nothing.")
def wake(options: LabOptions, chosen: Chosen, dry_run: bool) -> None:
    """Send Wake-on-LAN packets, whatever else a machine has, and wait for nothing.

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
    network, card = context.lab.network, card_of(context)
    wake_.send([machine.mac for machine in machines], server=network.server, subnet=network.subnet, interface=card)
    click.echo(f"sent wake-up packets from {card} to: {', '.join(str(machine.name) for machine in machines)}")


def card_of(context: LabContext) -> str:
    """The server's interface on the lab's segment."""
    return context.lab.network.interface or host.interface_of(context.lab.network.server)


def press_machines(
    context: LabContext,
    machines: Sequence[Machine],
    wish: Wish,
    way: Way,
    output: str = "json",
    *,
    hear: Callable[[Answer], None] = lambda _: None,
) -> list[Answer]:
    """One wish for many machines; said as it comes, unless the output is JSON. ``hear`` is told of each too."""
    if context.netns is not None and wish is not Wish.STATUS:
        need_root()
    by_name = {str(machine.name): machine for machine in machines}
    card = functools.cache(lambda: card_of(context))

    def tell(answer: Answer) -> None:
        if output != "json":
            ui.say(f"{answer.machine}: {answer.outcome}: {answer.detail}")
        hear(answer)

    return press_all(list(by_name), lambda name: button(context, by_name[name], card=card), wish, way, tell=tell)


@contextlib.contextmanager
def drained(context: LabContext, machines: Sequence[Machine], within: float = DRAIN_WITHIN) -> Iterator[None]:
    """Empty the machines' nodes, and open them again afterwards, so that pods find them when they are back.

    An API that doesn't answer is said, and empties nothing: there is nobody left to be warned.
    """
    names = [str(machine.name) for machine in machines]
    if not names:
        yield
        return
    closed: list[str] = []
    try:
        try:
            with connect(context, patience=10.0) as client:
                for name in names:
                    closed.append(name)
                    drain.cordon(client, name)
                ui.say(f"moving pods away from {', '.join(names)}")
                left = drain.evict(client, closed, within, stop=stop_if_interrupted)
            if left:
                ui.say(f"still there after {within:.0f} s, and switched off with their node: {', '.join(left)}")
        except (ApiError, EnvironmentProblem) as error:
            ui.say(f"pods could not be moved: {error.message}")
        yield
    finally:
        if closed:
            _reopen(context, closed)


def _reopen(context: LabContext, names: Sequence[str]) -> None:
    try:
        with connect(context, patience=0.0, within=10.0) as client:
            drain.reopen(client, names)
    except NodiskError as error:
        ui.say(f"closed to new pods until nodisk room on or kubectl uncordon: {', '.join(names)} ({error.message})")


def _would(context: LabContext, machines: Sequence[Machine], what: str) -> None:
    for machine in machines:
        how = "qemu" if context.netns is not None else str(machine.power.kind)
        click.echo(f"would {what} {machine.name} by {how}")


def _conclude(answers: Sequence[Answer], output: str) -> None:
    """Print all answers and exit as they say: 1 where one is unknown, 6 where one is not confirmed in time."""
    if output == "json":
        ui.print_json({"machines": [answer.to_json() for answer in answers]})
    judge(answers)


def judge(answers: Sequence[Answer]) -> None:
    """Raise what the answers mean for a script: NodiskError (1) for an unknown one, TimedOut (6) for one asked."""
    unknown = [answer.machine for answer in answers if answer.outcome is Outcome.UNKNOWN]
    asked = [answer.machine for answer in answers if answer.outcome is Outcome.ASKED]
    if unknown:
        raise NodiskError(f"unknown: {', '.join(unknown)}", hint="the reasons are above; nodisk power status --all")
    if asked:
        raise TimedOut(f"asked, but not confirmed in time: {', '.join(asked)}", hint="nodisk power status --all")


def _cells(answer: Answer) -> tuple[str, ...]:
    return (answer.machine, answer.how, str(answer.outcome), str(answer.state), answer.detail)
