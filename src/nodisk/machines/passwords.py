"""Passwords of BMCs and smart plugs: a file a machine in the lab's state, 0600, written by ``nodisk power login``."""

from __future__ import annotations

from nodisk import files
from nodisk.errors import UsageError
from nodisk.spec.model import Machine
from nodisk.state import LabState

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
    state.power.mkdir(parents=True, exist_ok=True)
    state.power.chmod(0o700)
    files.write(state.power / str(machine.name), password, mode=0o600)


def read(state: LabState, machine: Machine) -> str | None:
    """A machine's password; None: none is kept."""
    try:
        return (state.power / str(machine.name)).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def forget(state: LabState, machine: Machine) -> bool:
    """Remove it; returns whether there was one."""
    there = (state.power / str(machine.name)).exists()
    (state.power / str(machine.name)).unlink(missing_ok=True)
    return there
