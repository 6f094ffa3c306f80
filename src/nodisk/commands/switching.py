"""What ``nodisk power`` and ``nodisk room`` share: press buttons, move pods away first, say what the answers mean."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import click

from nodisk import ui
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError, TimedOut, UsageError
from nodisk.kube import drain
from nodisk.kube.client import connect
from nodisk.kube.errors import ApiError
from nodisk.machines.buttons.button import Answer, Outcome, Wish, stop_if_interrupted
from nodisk.machines.buttons.choose import button
from nodisk.machines.buttons.press import Way, press_all
from nodisk.machines.remains import need_root
from nodisk.server import host
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine
from nodisk.values import Role

F = TypeVar("F", bound=Callable[..., Any])
WITHIN = 120.0
"""Seconds for one machine: a PC's firmware takes up to a minute until anything is seen of it."""
STAGGER = 1.0
"""Seconds between the starts of two machines: thirty PCs draw their inrush current within half a minute."""
DRAIN_WITHIN = 120.0
"""Seconds for pods to end."""

Chosen = Callable[[LabContext], tuple[Machine, ...]]

within_option = click.option(
    "--within",
    type=click.FloatRange(min=1, max=3600),
    default=WITHIN,
    show_default=True,
    help="Seconds to wait for each machine, in total.",
)


def chosen_machines(command: F) -> F:
    """Names, --role or --all; the command gets ``chosen: Callable[[LabContext], machines]``."""

    @click.argument("names", nargs=-1, metavar="[NAME]...")
    @click.option("--role", type=click.Choice([role.value for role in Role]), help="Select the machines of one role.")
    @click.option("--all", "every", is_flag=True, help="Select every machine of the lab.")
    @functools.wraps(command)
    def wrapper(*args: Any, names: tuple[str, ...], role: str | None, every: bool, **kwargs: Any) -> Any:
        if sum((bool(names), role is not None, every)) != 1:
            raise UsageError(
                "name machines, or pass --role, or --all: one of them",
                hint=f"{click.get_current_context().command_path} --all",
            )

        def choose(context: LabContext) -> tuple[Machine, ...]:
            if names:
                return tuple({name: machine_named(context.lab, name) for name in names}.values())
            return context.lab.machines if role is None else context.lab.by_role(Role(role))

        return command(*args, chosen=choose, **kwargs)

    return cast("F", wrapper)


def stagger_option(default: float = STAGGER) -> Callable[[F], F]:
    """How fast machines are switched one after another."""
    return click.option(
        "--stagger",
        type=click.FloatRange(min=0, max=600),
        default=default,
        show_default=True,
        help="Seconds between starting one machine and the next.",
    )


def nic_of(context: LabContext) -> str:
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
    nic = functools.cache(lambda: nic_of(context))

    def tell(answer: Answer) -> None:
        if output != "json":
            ui.say(f"{answer.machine}: {answer.outcome}: {answer.detail}")
        hear(answer)

    return press_all(list(by_name), lambda name: button(context, by_name[name], nic=nic), wish, way, tell=tell)


@contextlib.contextmanager
def drained(context: LabContext, machines: Sequence[Machine], within: float = DRAIN_WITHIN) -> Iterator[None]:
    """Empty the machines' nodes, and open them again afterwards, so that pods find them when they are back.

    An API that doesn't answer is said, and empties nothing: there is nobody left to be warned. Without a cluster there
    are no nodes to empty.
    """
    names = [str(machine.name) for machine in machines]
    if not names or not context.lab.has_cluster:
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


def would(context: LabContext, machines: Sequence[Machine], what: str) -> None:
    """Say what a dry run leaves undone."""
    for machine in machines:
        how = "qemu" if context.netns is not None else str(machine.power.kind)
        click.echo(f"would {what} {machine.name} by {how}")


def show(answers: Sequence[Answer], output: str, **more: object) -> None:
    """Print all answers where the output is JSON, with what there is ``more`` to say; otherwise each was said."""
    if output == "json":
        ui.print_json({"machines": [answer.to_json() for answer in answers], **more})


def judge(answers: Sequence[Answer]) -> None:
    """Raise what the answers mean for a script: NodiskError (1) for an unknown one, TimedOut (6) for one asked."""
    unknown = [answer.machine for answer in answers if answer.outcome is Outcome.UNKNOWN]
    asked = [answer.machine for answer in answers if answer.outcome is Outcome.ASKED]
    if unknown:
        raise NodiskError(f"unknown: {', '.join(unknown)}", hint="the reasons are above; nodisk power status --all")
    if asked:
        raise TimedOut(f"asked, but not confirmed in time: {', '.join(asked)}", hint="nodisk power status --all")
