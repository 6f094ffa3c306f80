"""Passwords of BMCs and smart plugs: one file per machine in the lab's state, 0600, written by ``nodisk power
login``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from nodisk import files
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.spec.model import Machine
from nodisk.state import LabState
from nodisk.values import Name

LONGEST = 256
"""Characters; IPMI takes 20, AMT 32."""


def check(password: str) -> None:
    """Raise UsageError for what can be no password: an empty one, one with control characters, a file by mistake."""
    if not password or len(password) > LONGEST or not password.isprintable():
        raise UsageError(
            f"that is no password: 1 to {LONGEST} printable characters",
            hint='printf %s "$PASSWORD" | nodisk power login NAME',
        )


def save(state: LabState, machine: Machine, password: str) -> None:
    """Keep a machine's password instead of an earlier one."""
    check(password)
    _write(state, machine.name, password)


def read(state: LabState, machine: Machine) -> str | None:
    """A machine's password; None: none is kept."""
    try:
        return (state.power / str(machine.name)).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def forget(state: LabState, machine: Machine) -> bool:
    """Remove it; returns whether there was one."""
    return files.remove(state.power / str(machine.name))


def copy(state: LabState, machine: Machine, new: Name) -> None:
    """Keep a machine's password under a name that no machine has yet, before lab.yaml gives it that name.

    The old file stays until ``forget``: whatever breaks off in between, the password is there under the name that
    lab.yaml has. Where the machine has none, one that lies under the new name is removed: it was somebody else's.
    Raises EnvironmentProblem where the state can't be read and written.
    """
    with _telling(state):
        password = read(state, machine)
        if password is None:
            files.remove(state.power / str(new))
        else:
            _write(state, new, password)


def clear(state: LabState, machines: Iterable[Machine]) -> None:
    """Forget what lies under machines' names; raises EnvironmentProblem where the state can't be written."""
    with _telling(state):
        for machine in machines:
            forget(state, machine)


def _write(state: LabState, name: Name, password: str) -> None:
    state.power.mkdir(parents=True, exist_ok=True)
    state.power.chmod(0o700)
    files.write(state.power / str(name), password, mode=0o600)


@contextlib.contextmanager
def _telling(state: LabState) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "run the command as root with sudo: the passwords belong to the lab's state"
        raise EnvironmentProblem(f"{state.power}: {error.strerror}", hint=hint) from error
