"""The virtual lab's wire and power buttons, with real QEMU and a real namespace; firmware only, no server."""

from __future__ import annotations

import os
import pty
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.errors import NodiskError, TimedOut
from nodisk.machines import processes, qmp
from nodisk.machines.power import Power, everywhere
from nodisk.machines.qemu import Paths
from nodisk.machines.virtual import Virtual
from nodisk.records.virtual_lab import BRIDGE
from nodisk.spec.model import Lab
from nodisk.state import State

pytestmark = pytest.mark.interop


@pytest.fixture
def virtual() -> Iterator[Virtual]:
    lab = Lab.model_validate(
        {
            "name": f"test-{os.getpid()}",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "machines": [
                {
                    "name": f"m{n}",
                    "mac": f"52:54:00:77:01:0{n}",
                    "address": f"10.77.0.2{n}",
                    "memory": "128MiB",
                    "cpus": 1,
                }
                for n in (1, 2)
            ],
        }
    )
    # Not pytest's own folder: sockets lie in it, and the path of a unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="nodisk-") as name:
        folder = Path(name)
        made = Virtual(lab, folder / "lab.yaml", State(folder).lab(str(lab.name)))
        yield made
        made.down(lambda _: None)


def seen_on_the_host() -> list[str]:
    """What the host's own network has of the segment; tests beside this one may have cards there for a moment."""
    host = run.run(["ip", "-br", "address"]).stdout + run.run(["ip", "route"]).stdout
    return [name for name in (BRIDGE, "tap5254007701", "10.77.0.") if name in host]


def test_segment_is_of_its_own_and_leaves_nothing(virtual: Virtual) -> None:
    segment = virtual.segment
    segment.up()
    segment.up()  # once more: nothing is there twice
    first, second = (machine.mac for machine in virtual.lab.machines)
    assert segment.tap(first) == segment.tap(first) == "tap525400770101"
    assert segment.links() == {"lo", BRIDGE, "tap525400770101"}
    assert segment.tap(second) == "tap525400770102", "its place in lab.yaml, which may change, doesn't matter"
    shown = run.run(["ip", "-br", "address", "show", "dev", BRIDGE], netns=segment.netns).stdout
    assert "10.77.0.1/24" in shown
    assert seen_on_the_host() == []
    segment.down()
    segment.down()
    assert not segment.exists()
    assert seen_on_the_host() == []


def test_machines_ask_the_network_for_a_boot_and_nothing_else(virtual: Virtual) -> None:
    virtual.segment.up()
    power, machines = virtual.power, virtual.lab.machines
    assert everywhere(power.on, machines) == {"m1": True, "m2": True}
    assert everywhere(power.on, machines) == {"m1": False, "m2": False}  # on already
    console = Paths.of(virtual.state, machines[0]).console
    await_text(console, r"iPXE.*")
    await_text(console, r"(?s)Configuring.*net0.*52:54:00:77:01:01")
    pid = power.pid(machines[0])
    assert pid is not None
    assert abs((power.since(machines[0]) or 0) - time.time()) < 120

    # Found again without its pid file, as after a crash.
    Paths.of(virtual.state, machines[0]).pid.unlink()
    assert power.pid(machines[0]) == pid
    assert qmp.execute(Paths.of(virtual.state, machines[0]).qmp, "query-status")["running"] is True

    # No operating system listens to the button; the plug always works.
    with pytest.raises(TimedOut, match="m1 did not shut down within 1 seconds"):
        power.off(machines[0], seconds=1)
    assert power.cut(machines[0])
    assert not power.cut(machines[0])
    assert power.pid(machines[0]) is None
    assert power.pid(machines[1]) is not None  # its neighbour goes on


def test_without_a_segment_there_is_no_power(virtual: Virtual) -> None:
    with pytest.raises(NodiskError, match="is not up"):
        virtual.power.on(virtual.lab.machines[0])


def test_down_finds_what_a_crash_left(virtual: Virtual, tmp_path: Path) -> None:
    virtual.segment.up()
    virtual.power.on(virtual.lab.machines[0])
    # A daemon whose server is gone, and a machine that lab.yaml no longer names.
    daemon = run.start(["sleep", "1000"], log_file=tmp_path / "log", netns=virtual.segment.netns)
    daemon.returncode = 0
    until(lambda: daemon.pid in processes.in_namespace(virtual.segment.netns), why="it does not come in")
    fewer = virtual.lab.model_copy(update={"machines": virtual.lab.machines[1:]})
    said: list[str] = []
    assert Virtual(fewer, virtual.file, virtual.state).down(said.append)
    assert not virtual.segment.exists()
    assert power_of(virtual).pid(virtual.lab.machines[0]) is None
    assert not virtual.state.run.exists()
    assert any("removed" in line for line in said)
    assert not Virtual(fewer, virtual.file, virtual.state).down(said.append)  # nothing is left to take down


def test_another_labs_machine_is_left_alone(virtual: Virtual, tmp_path: Path) -> None:
    virtual.segment.up()
    virtual.power.on(virtual.lab.machines[0])
    elsewhere = Power(virtual.lab, State(tmp_path / "elsewhere").lab(str(virtual.lab.name)))
    assert elsewhere.pid(virtual.lab.machines[0]) is None
    assert not elsewhere.cut(virtual.lab.machines[0])
    assert virtual.power.pid(virtual.lab.machines[0]) is not None


def power_of(virtual: Virtual) -> Power:
    return virtual.power


def await_text(path: Path, pattern: str, seconds: float = 3 * LONG) -> None:
    def shown() -> str:
        return path.read_text(errors="replace") if path.exists() else ""

    said = f"{pattern!r} is not on the console"
    until(lambda: re.search(pattern, shown()), seconds=seconds, every=0.2, why=lambda: f"{said}: {shown()[-500:]}")


def test_a_persons_shell_in_the_namespace_is_not_a_daemon(virtual: Virtual, tmp_path: Path) -> None:
    virtual.segment.up()
    netns = virtual.segment.netns
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("ip", ["ip", "netns", "exec", netns, "sh", "-c", "echo here; exec sleep 100"])  # noqa: S606
    try:
        assert b"here" in os.read(terminal, 100)
        assert str(child) in run.run(["ip", "netns", "pids", netns]).stdout.split()
        assert processes.in_namespace(netns) == []
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
