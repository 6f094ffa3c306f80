"""``nodisk lab bench``: the time from power-on to Ready, and a lower bound: the same image without Kubernetes.

Both are measured one after the other on the same host, on temporary labs made from lab.yaml: so a running lab is not
touched, and both start from scratch.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodisk import files, run
from nodisk.assets import build, built
from nodisk.bench import temporary
from nodisk.errors import TimedOut
from nodisk.machines import qemu
from nodisk.machines.power import everywhere
from nodisk.machines.virtual import Virtual
from nodisk.machines.watch import WAY, Row, wait_ready
from nodisk.records.database import Database
from nodisk.spec.model import Lab
from nodisk.state import State
from nodisk.waiting import Deadline, until

KUBERNETES_UNITS = (
    "containerd.service",
    "kubelet.service",
    "kube-proxy.service",
    "nodisk-enrol.service",
    "nodisk-manifests.service",
    "nodisk-images.service",
    "nodisk-control-plane.service",
    "nodisk-report.service",
)
_LOGIN = re.compile(rb"^\S+ login:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MachineResult:
    """One machine's figures."""

    name: str
    role: str
    memory_mib: int
    floor: float
    """Seconds from power-on to the login prompt, without Kubernetes."""
    stages: dict[str, float]
    """Stage → seconds from power-on."""
    ram: dict[str, int]
    """MiB by kind, at Ready."""
    loaded: dict[str, int]
    """Bytes by what was loaded."""

    def to_json(self) -> dict[str, Any]:
        """The stable form."""
        return {
            "name": self.name,
            "role": self.role,
            "memory_mib": self.memory_mib,
            "floor_seconds": round(self.floor, 1),
            "stages": {stage: round(at, 1) for stage, at in self.stages.items()},
            "ram_mib": self.ram,
            "loaded_bytes": {**self.loaded, "total": sum(self.loaded.values())},
        }


@dataclass(frozen=True, slots=True)
class Result:
    """A whole measurement."""

    accelerator: str
    processors: int
    kubernetes: str
    floor: float
    """Seconds until the last machine showed its login prompt."""
    ready: float
    """Seconds until the last machine's node was Ready."""
    again: float | None
    """The same after a power cut, with the existing cluster; None: not measured."""
    rootfs: int
    """Bytes."""
    help_seconds: float
    machines: tuple[MachineResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The stable form."""
        return {
            "accelerator": self.accelerator,
            "host_processors": self.processors,
            "kubernetes": self.kubernetes,
            "floor_seconds": round(self.floor, 1),
            "ready_seconds": round(self.ready, 1),
            "ready_to_floor": round(self.ready / self.floor, 2),
            "ready_after_power_cut_seconds": None if self.again is None else round(self.again, 1),
            "rootfs_bytes": self.rootfs,
            "help_seconds": round(self.help_seconds, 3),
            "machines": [machine.to_json() for machine in self.machines],
        }


def measure(
    lab: Lab, state: State, *, within: float, power_cycle: bool = True, say: Callable[[str], None] = lambda _: None
) -> Result:
    """Boot both labs and measure; raises TimedOut for one that doesn't come up within this many seconds.

    Raises Busy if the lab is being measured already, and UsageError if a user's lab has the name of a temporary one.
    """
    with files.lock(state.lab(str(lab.name)).root / "bench.lock", f"nodisk lab bench of {lab.name}"):
        for suffix in ("floor", "bench"):
            temporary.refuse_foreign(state.lab(temporary.name(lab, suffix)))
        return _measure(lab, state, within=within, power_cycle=power_cycle, say=say)


def _measure(lab: Lab, state: State, *, within: float, power_cycle: bool, say: Callable[[str], None]) -> Result:
    build.build(lab, state)
    lab = temporary.settled(lab, state)
    say("the floor: the same image to a login prompt, without Kubernetes")
    with temporary.lab(temporary.like(lab, "floor"), state, masked=KUBERNETES_UNITS) as virtual:
        floors = _floor(virtual, within)
    say(f"login prompts after {max(floors.values()):.0f} s; now with Kubernetes")
    with temporary.lab(temporary.like(lab, "bench"), state) as virtual, Database(virtual.state.database) as database:
        found = _ready(virtual, database, within)
        _await_ram(virtual, database)
        machines = tuple(_result(row, database, floors) for row in found)
        again = None
        if power_cycle:
            say(f"Ready after {_last(found):.0f} s; now the power is cut, and comes back")
            everywhere(virtual.power.cut, virtual.lab.machines)
            again = _last(_ready(virtual, database, within))
        image, release = built.facts(state, virtual.lab)
    return Result(
        accelerator=qemu.accelerator().technique,
        processors=len(os.sched_getaffinity(0)),
        kubernetes=f"{release.version} ({release.source})" if release is not None else "none",
        floor=max(floors.values()),
        ready=_last(found),
        again=again,
        rootfs=image.rootfs.size,
        help_seconds=help_seconds(),
        machines=machines,
    )


def _floor(virtual: Virtual, within: float) -> dict[str, float]:
    """Machine → seconds from power-on to its login prompt."""
    began, deadline = time.time(), Deadline(within)
    everywhere(virtual.power.on, virtual.lab.machines)
    consoles = {str(m.name): qemu.Paths.of(virtual.state, m).console for m in virtual.lab.machines}
    seconds: dict[str, float] = {}
    while len(seconds) < len(consoles):
        for name, path in consoles.items():
            if name not in seconds and path.exists() and _LOGIN.search(path.read_bytes()):
                seconds[name] = time.time() - began
        if not deadline.pause(0.2):
            missing = ", ".join(sorted(set(consoles) - set(seconds)))
            raise TimedOut(f"no login prompt after {within:g} seconds on {missing}")
    return seconds


def _ready(virtual: Virtual, database: Database, within: float) -> list[Row]:
    everywhere(virtual.power.on, virtual.lab.machines)
    return wait_ready(virtual.power, database, seconds=within, alive=virtual.services.check_server)


def _await_ram(virtual: Virtual, database: Database, within: float = 60.0) -> None:
    """Machines report their RAM when their own node is Ready, a few seconds after the server knows it."""
    machines = virtual.lab.machines
    until(lambda: all(database.ram(one.mac) is not None for one in machines), Deadline(within), every=0.5)


def _result(row: Row, database: Database, floors: dict[str, float]) -> MachineResult:
    machine = row.machine
    reached = {str(stage): seconds for stage in WAY if (seconds := row.seconds(stage)) is not None}
    return MachineResult(
        name=str(machine.name),
        role=str(machine.role),
        memory_mib=qemu.memory_mib(machine),
        floor=floors[str(machine.name)],
        stages=reached,
        ram=database.ram(machine.mac) or {},
        loaded=database.traffic(machine.mac),
    )


def _last(found: list[Row]) -> float:
    """Seconds from the first power-on until the last was Ready."""
    began = min(row.on for row in found if row.on is not None)
    return max(row.progress.since for row in found if row.progress.since is not None) - began


def help_seconds(runs: int = 5) -> float:
    """The fastest of several runs of ``nodisk --help``: the slower ones measure other load on the host."""
    best = float("inf")
    for _ in range(runs):
        began = time.perf_counter()
        run.run([Path(sys.executable).with_name("nodisk"), "--help"])
        best = min(best, time.perf_counter() - began)
    return best
