"""Find the lab that a command works on, and how to reach its network.

``--lab FILE``, else ``$NODISK_LAB``, else ``./lab.yaml``, else the only running virtual lab.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from nodisk import virtual_record
from nodisk.errors import NoCluster, UsageError
from nodisk.spec.load import load
from nodisk.spec.model import Lab
from nodisk.state import DEFAULT_STATE, LabState, State, check_path

F = TypeVar("F", bound=Callable[..., Any])


class SeveralLabs(UsageError):
    """No lab was chosen, and more than one virtual lab runs."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"several virtual labs are running: {', '.join(names)}", hint="choose one with --lab FILE or $NODISK_LAB"
        )
        self.names = names


@dataclass(frozen=True, slots=True)
class LabContext:
    """A lab as a command works on it."""

    lab: Lab
    file: Path
    """The lab.yaml it was read from."""
    state: LabState
    netns: str | None
    """Network namespace in which the lab's addresses are reachable; None for this host's own network."""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """The values of ``--lab`` and ``--state``, not yet resolved."""

    lab: Path | None
    state: State

    def file(self) -> Path:
        """Find the lab.yaml to use; raises UsageError if there is none."""
        if self.lab is not None:
            return self.lab
        if named := os.environ.get("NODISK_LAB"):
            return Path(named)
        if (here := Path("lab.yaml")).exists():
            return here
        running = virtual_record.running(self.state)
        if len(running) == 1:
            return Path(next(iter(running.values())).file)
        if running:
            raise SeveralLabs(sorted(running))
        raise UsageError(
            "no lab found: no --lab, no $NODISK_LAB, no ./lab.yaml, and no running virtual lab",
            hint="create one with nodisk init",
        )

    def load(self) -> LabContext:
        """Read the lab; raises SpecError with every problem of its file."""

        file = self.file().absolute()
        lab = load(file)
        state = self.state.lab(str(lab.name))
        lab = with_own_key(lab, state)
        running = virtual_record.read(state)
        return LabContext(lab, file, state, None if running is None else running.netns)

    def load_cluster(self) -> LabContext:
        """The same for a command that works on the cluster; raises NoCluster where the machines are plain Debian."""
        context = self.load()
        if not context.lab.has_cluster:
            raise NoCluster(str(context.lab.name))
        return context


def with_own_key(lab: Lab, state: LabState) -> Lab:
    """Add the SSH key that a virtual lab generates, so that ``nodisk ssh`` works when lab.yaml has no key."""
    own_key = state.ssh / "id_ed25519.pub"
    if lab.ssh_keys or not own_key.exists():
        return lab
    return lab.model_copy(update={"ssh_keys": (own_key.read_text().strip(),)})


def state_option(command: F) -> F:
    """Add ``--state`` to a command that isn't about one lab; it gets it as ``state: State``."""

    @click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_STATE,
        envvar="NODISK_STATE",
        show_default=True,
        help="State directory of the server.",
    )
    @functools.wraps(command)
    def wrapper(*args: Any, state: Path, **kwargs: Any) -> Any:
        return command(*args, state=State(check_path(state.absolute())), **kwargs)

    return cast("F", wrapper)


def lab_options(command: F) -> F:
    """Add ``--lab`` and ``--state`` to a command; it gets them as one argument, ``options: LabOptions``."""

    @click.option(
        "--lab",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Lab file (default: $NODISK_LAB, else ./lab.yaml, else the running virtual lab).",
    )
    @state_option
    @functools.wraps(command)
    def wrapper(*args: Any, lab: Path | None, state: State, **kwargs: Any) -> Any:
        return command(*args, options=LabOptions(lab, state), **kwargs)

    return cast("F", wrapper)


def junit_output_option(command: F) -> F:
    """Add ``--output table|json|junit`` to a command that runs checks."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "junit"]),
        default="table",
        show_default=True,
        help="Output format: a table, JSON in a stable, documented format, or JUnit XML.",
    )(command)


def output_option(command: F) -> F:
    """Add ``--output table|json`` to a command."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Output format: a table, or JSON in a stable, documented format.",
    )(command)
