"""A virtual machine that hangs before Linux says a word: seen by its idle processors.

QEMU without KVM loses an interrupt once in some hundred boots (seen: a vector of the local APIC that stays in service
while the processor halts), and the kernel then waits for ever. Machines that load or start at that point of a boot were
seen to use a whole processor; one that waits there for something else loses nothing by a new boot. One that would run
and gets no processor, as a worker on a busy host that stands back for the control plane, does not hang.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nodisk.machines import processes
from nodisk.spec.model import Machine
from nodisk.values import Stage

WINDOW = 60.0
"""Seconds that it has to be idle."""
IDLE = 0.2
"""Of one of this host's processors; a hanging machine was seen to take 0.07."""
STARVED = 0.5
"""Seconds that its threads together wait for a processor, in each second; one that got a tenth of a processor was seen
to wait for more than one."""


@dataclass(slots=True)
class Hangs:
    """Watches the machines of one wait; names each at most once, since a new boot that hangs too is another fault."""

    pid: Callable[[Machine], int | None]
    used: Callable[[int], float] = processes.processor_seconds
    waited: Callable[[int], float] = processes.waiting_seconds
    now: Callable[[], float] = time.monotonic
    _windows: dict[str, tuple[int, float, float, float]] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)

    def look(self, reached: Iterable[tuple[Machine, Stage | None]]) -> list[Machine]:
        """The machines that hang, of those given with the stage that they have reached; call it every few seconds."""
        return [machine for machine, stage in reached if self._hangs(machine, stage)]

    def _hangs(self, machine: Machine, stage: Stage | None) -> bool:
        name = str(machine.name)
        pid = self.pid(machine) if stage is Stage.IPXE and name not in self._named else None
        if pid is None:
            self._windows.pop(name, None)
            return False
        now, used, waited = self.now(), self.used(pid), self.waited(pid)
        begun = self._windows.setdefault(name, (pid, now, used, waited))
        seconds = now - begun[1]
        if begun[0] != pid or seconds >= WINDOW:
            self._windows[name] = (pid, now, used, waited)
        if begun[0] != pid or seconds < WINDOW:
            return False
        if used - begun[2] >= IDLE * seconds or waited - begun[3] >= STARVED * seconds:
            return False
        self._named.add(name)
        return True
