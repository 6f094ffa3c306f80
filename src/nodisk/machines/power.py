"""Switching virtual machines on and off: one QEMU process each, found by its name and this state's own files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nodisk import run
from nodisk.errors import EnvironmentProblem, NodiskError, TimedOut
from nodisk.machines import nics, processes, qemu, qmp
from nodisk.machines.segment import Segment
from nodisk.parallel import in_parallel
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState
from nodisk.values import Role

AT_ONCE = 16
"""Machines that are switched at the same time."""
WAIT_OFF = 90.0
"""Seconds for an orderly shutdown; without KVM, stopping containers takes a while."""
NICE = 5
"""How much workers stand back for the control plane while there is no KVM."""


@dataclass(frozen=True, slots=True)
class Power:
    """The power buttons of a virtual lab."""

    lab: Lab
    state: LabState

    def pid(self, machine: Machine) -> int | None:
        """The machine's QEMU process; None: it is off."""
        words = qemu.identifying_words(self.state, self.lab, machine)
        pid = processes.from_pid_file(qemu.Paths.of(self.state, machine).pid, words)
        if pid is None:
            pid = next(iter(processes.find(words)), None)
        return pid

    def since(self, machine: Machine) -> float | None:
        """When it was switched on, in seconds since the epoch; None: it is off."""
        pid = self.pid(machine)
        return None if pid is None else processes.start_time(pid)

    def on(self, machine: Machine) -> bool:
        """Switch a machine on; returns whether it was off. The lab's segment must be up."""
        if self.pid(machine) is not None:
            return False
        segment = Segment.of(self.lab)
        if not segment.exists():
            raise NodiskError(f"virtual lab {self.lab.name} is not up", hint="nodisk lab up")
        paths = qemu.Paths.of(self.state, machine)
        paths.pid.parent.mkdir(parents=True, exist_ok=True)
        self.state.log.mkdir(parents=True, exist_ok=True)
        if flash := qemu.uefi(self.lab.firmware(machine)):
            shutil.copyfile(flash[1], paths.variables)
        accel = qemu.accelerator()
        tap = segment.tap(machine.mac)
        words = qemu.arguments(self.state, self.lab, machine, tap=tap, accel=accel)
        run.run(words, netns=segment.netns, timeout=60)
        if accel.emulates and machine.role is Role.WORKER:
            # Emulated processors share this host's few: nothing is Ready before the control plane is.
            self._set_nice(machine, NICE)
        return True

    def level(self) -> None:
        """Let workers have as much of the host as the control plane, which is Ready."""
        for machine in self.lab.by_role(Role.WORKER):
            self._set_nice(machine, 0)

    def stand_back(self) -> None:
        """Let emulated workers give way to the control plane again: the API is what all wait for from now on.

        On a slow host an idle control plane alone takes more than a processor; with an equal share for each machine
        its API stopped answering once there were pods to start.
        """
        if qemu.accelerator().emulates:
            for machine in self.lab.by_role(Role.WORKER):
                self._set_nice(machine, NICE)

    def _set_nice(self, machine: Machine, nice: int) -> None:
        if (pid := self.pid(machine)) is not None:
            processes.set_nice(pid, nice)

    def off(self, machine: Machine, *, seconds: float = WAIT_OFF) -> bool:
        """Press the power button (ACPI) and wait; returns whether it was on. Raises TimedOut if it stays on."""
        pid = self.pid(machine)
        if pid is None:
            return False
        qmp.execute(qemu.Paths.of(self.state, machine).qmp, "system_powerdown")
        if not processes.wait_gone(pid, seconds):
            raise TimedOut(
                f"{machine.name} did not shut down within {seconds:g} seconds",
                hint=f"cut its power with nodisk lab power {machine.name} cut",
            )
        return True

    def cut(self, machine: Machine) -> bool:
        """Take the power away, without a shutdown; returns whether it was on."""
        pid = self.pid(machine)
        if pid is None:
            return False
        processes.kill(pid, qemu.identifying_words(self.state, self.lab, machine))
        return True


def everywhere(action: Callable[[Machine], bool], machines: Iterable[Machine]) -> dict[str, bool]:
    """Run an action for many machines at once; name → its answer. Raises one error that names all that failed.

    Ctrl-C begins no other and waits for those that have begun, so that none is switched on unseen.
    """
    chosen = tuple(machines)
    done: dict[str, bool] = {}
    failures: list[NodiskError] = []
    for machine, outcome in zip(chosen, in_parallel(action, chosen, workers=AT_ONCE), strict=True):
        if isinstance(outcome, NodiskError):
            failures.append(outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            done[str(machine.name)] = outcome
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise NodiskError("\n".join(error.message for error in failures), hint=failures[0].hint)
    return done


def check_host(lab: Lab, machines: Iterable[Machine]) -> None:
    """Raise where this host can't run those machines of the lab beside what runs: tools, rights, memory."""
    for tool in ("qemu-system-x86_64", "ip"):
        run.find(tool)
    qemu.check_firmware(lab)
    nics.check(lab)
    wanted = sum(qemu.memory_mib(machine) for machine in machines)
    available = processes.available_mib()
    if wanted > available:
        raise EnvironmentProblem(
            f"the machines to power on need {wanted} MiB of RAM, but this host has only {available} MiB available",
            hint="remove machines from lab.yaml, or give them less memory",
        )
