"""A virtual lab: up, down, and what of it runs.

``up`` is a list of steps, each of which does nothing where its outcome is there already. So a second ``up`` continues
after Ctrl-C, a crash or a power cut at any point. ``down`` finds what is left by name (the namespace, the words of
command lines), not by what an earlier run may have written down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodisk import run, virtual_record
from nodisk.assets import built
from nodisk.errors import EnvironmentProblem
from nodisk.machines import power as power_
from nodisk.machines import processes, qemu
from nodisk.machines.power import Power, everywhere
from nodisk.machines.remains import Remains, need_root
from nodisk.machines.segment import Segment
from nodisk.machines.services import Services
from nodisk.records import running, virtual_lab
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER
from nodisk.records.virtual_lab import BRIDGE
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState


@dataclass(frozen=True, slots=True)
class Virtual:
    """One virtual lab."""

    lab: Lab
    file: Path
    state: LabState

    @property
    def segment(self) -> Segment:
        """Its wire."""
        return Segment.of(self.lab)

    @property
    def power(self) -> Power:
        """Its machines' power buttons."""
        return Power(self.lab, self.state)

    @property
    def services(self) -> Services:
        """Its processes on the host."""
        return Services(self.file, self.state, self.segment)

    @property
    def remains(self) -> Remains:
        """What of it is found without its lab.yaml."""
        return Remains(self.state)

    def check(self, *, another: bool = False) -> None:
        """Raise if the lab can't run on this host, before anything is changed. Machines that are on have their memory.

        ``another``: one like it is to run beside it.
        """
        need_root()
        off = [machine for machine in self.lab.machines if another or self.power.pid(machine) is None]
        power_.check_host(self.lab, off)
        if self.segment.exists() and virtual_record.read(self.state) is None:
            inside = processes.in_namespace(self.segment.netns)
            if inside and not any(self._mine(pid) for pid in inside):
                raise EnvironmentProblem(
                    f"the network namespace {self.segment.netns} is in use by "
                    f"{' '.join(processes.command_line(inside[0]))[:80]} (process {inside[0]})",
                    hint="a lab with this name is running from another state directory: nodisk lab down --state DIR",
                )

    def _mine(self, pid: int) -> bool:
        root = str(self.state.root)
        line = processes.command_line(pid)
        return any(root in word for word in line) or str(self.file) in line

    def start(self, say: Callable[[str], None]) -> virtual_record.Record:
        """Segment, server, forwarder, armed window, record: everything but the machines. Idempotent."""
        self.remains.need_virtual()
        segment, services = self.segment, self.services
        if not segment.exists():
            say(f"network namespace {segment.netns}: {BRIDGE} is {segment.server}")
        segment.up()
        self.make_ssh_key()
        virtual_lab.note_emulated(self.state, yes=qemu.accelerator().emulates)
        if running.process(self.state) is None:
            say(f"server in it (log: {services.server_log})")
        if not services.start_server() and services.update_server(built.fingerprint(self.state, self.lab)):
            say("server loaded the changes to lab.yaml or the build; machines get them at their next boot")
        ports = services.start_forwarder()
        found = virtual_record.Record(str(self.file), segment.netns, BRIDGE, ports["api"], ports["http"])
        virtual_record.write(self.state, found)
        with Database(self.state.database) as database:
            if database.armed_until() != FOREVER:
                database.arm(FOREVER)
                database.record(Kind.DAEMON, "armed while the virtual lab runs", source="nodisk lab")
        return found

    def make_ssh_key(self) -> None:
        """A key of this lab's own where lab.yaml names none, so that ``nodisk ssh`` works at once."""
        key = self.state.ssh / "id_ed25519"
        if self.lab.ssh_keys or key.exists():
            return
        self.state.ssh.mkdir(parents=True, exist_ok=True, mode=0o700)
        run.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"nodisk-{self.lab.name}", "-f", key])

    def machines(self, names: tuple[str, ...], *, every: bool = False) -> tuple[Machine, ...]:
        """The machines of those names, or every one; raises UsageError for a name that isn't there."""
        return self.lab.machines if every else tuple(machine_named(self.lab, name) for name in names)

    def down(self, say: Callable[[str], None], *, purge: bool = False) -> bool:
        """Switch the machines off and do as ``Remains.down``."""

        def cut() -> list[str]:
            return [name for name, was_on in everywhere(self.power.cut, self.lab.machines).items() if was_on]

        return self.remains.down(say, purge=purge, cut=cut)
