"""A machine that hangs as its kernel starts is told from one that loads or computes, by the processor's idleness."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from tests.support.waits import until
from tests.unit.spec.labs import TEN_LINES

from nodisk.machines import processes
from nodisk.machines.hangs import WINDOW, Hangs
from nodisk.spec.load import parse
from nodisk.spec.model import Machine
from nodisk.values import Stage

MACHINES = parse(TEN_LINES, file="lab.yaml").machines


@dataclass
class Host:
    """Processes by machine, what each has used, and a clock."""

    pids: dict[str, int] = field(default_factory=lambda: {str(m.name): n for n, m in enumerate(MACHINES, start=1)})
    used: dict[int, float] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)
    now: float = 0.0

    def hangs(self) -> Hangs:
        return Hangs(
            lambda machine: self.pids.get(str(machine.name)),
            used=lambda pid: self.used.get(pid, 0.0),
            waited=lambda pid: self.waited.get(pid, 0.0),
            now=lambda: self.now,
        )

    def pass_(self, watching: Hangs, seconds: float, stage: Stage | None, **busy: float) -> list[str]:
        """Let time go by; each machine uses its share of a processor. Who was said to hang."""
        found: list[Machine] = []
        for _ in range(int(seconds)):
            self.now += 1
            for name, pid in self.pids.items():
                self.used[pid] = self.used.get(pid, 0.0) + busy.get(name, 0.0)
            found += watching.look((machine, stage) for machine in MACHINES)
        return [str(machine.name) for machine in found]


def test_only_an_idle_machine_hangs_and_is_named_once() -> None:
    host = Host()
    first, *others = [str(machine.name) for machine in MACHINES]
    busy = {first: 0.07} | dict.fromkeys(others, 0.5)
    watching = host.hangs()
    assert host.pass_(watching, WINDOW - 1, Stage.IPXE, **busy) == []
    assert host.pass_(watching, WINDOW, Stage.IPXE, **busy) == [first]
    host.pids[first] = 99  # switched off and on, and it hangs again: that is another fault
    assert host.pass_(watching, 3 * WINDOW, Stage.IPXE, **busy) == []


def test_a_machine_that_gets_no_processor_does_not_hang() -> None:
    host, first = Host(), str(MACHINES[0].name)
    watching = host.hangs()
    busy = dict.fromkeys(map(str, host.pids), 1.0) | {first: 0.1}
    for _ in range(int(2 * WINDOW)):
        host.waited[host.pids[first]] = host.waited.get(host.pids[first], 0.0) + 0.9
        assert host.pass_(watching, 1, Stage.IPXE, **busy) == []
    assert host.pass_(watching, 2 * WINDOW, Stage.IPXE, **busy) == [first], "it waits for none any more"


@pytest.mark.parametrize("stage", [None, Stage.DHCP, Stage.KERNEL, Stage.ENROLLED, Stage.READY])
def test_elsewhere_a_machine_may_be_idle(stage: Stage | None) -> None:
    host = Host()
    assert host.pass_(host.hangs(), 3 * WINDOW, stage) == []


def test_work_begins_anew_with_each_window_and_each_boot() -> None:
    host, first = Host(), str(MACHINES[0].name)
    watching = host.hangs()
    busy = dict.fromkeys(map(str, host.pids), 1.0)
    assert host.pass_(watching, WINDOW / 2, Stage.IPXE, **busy) == []
    host.pids[first] = 98
    assert host.pass_(watching, WINDOW - 2, Stage.IPXE, **busy | {first: 0}) == []
    assert host.pass_(watching, WINDOW, Stage.IPXE, **busy | {first: 0}) == [first]


def test_a_real_process_s_use_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            until(lambda: processes.processor_seconds(busy.pid) >= 0.1, why="it does not seem to compute")
        finally:
            busy.kill()
    assert processes.processor_seconds(busy.pid) == 0.0


def test_a_real_process_s_waiting_is_seen() -> None:
    """Two on one processor: one of them waits."""
    one = {min(os.sched_getaffinity(0))}
    both = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for busy in both:
            os.sched_setaffinity(busy.pid, one)
        until(lambda: sum(processes.waiting_seconds(busy.pid) for busy in both) >= 0.1, why="none seems to wait")
    finally:
        for busy in both:
            busy.kill()
            busy.wait()
    assert processes.waiting_seconds(both[0].pid) == 0.0
