"""A machine of the virtual lab: its button is QEMU's."""

from __future__ import annotations

from collections.abc import Callable

from nodisk.errors import NodiskError
from nodisk.machines.buttons.button import PowerTrouble, Seen, State
from nodisk.machines.power import Power
from nodisk.spec.model import Machine


class Virtual:
    """One QEMU process."""

    how = "qemu"

    def __init__(self, power: Power, machine: Machine) -> None:
        self._power, self._machine = power, machine

    def look(self, within: float) -> Seen:
        """Whether the process runs."""
        pid = self._power.pid(self._machine)
        return Seen(State.OFF, "no QEMU runs") if pid is None else Seen(State.ON, f"QEMU runs (pid {pid})")

    def on(self, within: float) -> None:
        """Start it."""
        self._do(lambda: self._power.on(self._machine))

    def off(self, within: float) -> None:
        """Press its ACPI button and wait."""
        self._do(lambda: self._power.off(self._machine, seconds=within))

    def cut(self, within: float) -> None:
        """End it."""
        self._do(lambda: self._power.cut(self._machine))

    def _do(self, action: Callable[[], bool]) -> None:
        try:
            action()
        except NodiskError as error:
            raise PowerTrouble(error.message.splitlines()[0], hint=error.hint) from error
