"""What a virtual lab leaves on this host, found by its name alone, and taken away: its lab.yaml may be gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from nodisk import files, virtual_record
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.machines import processes
from nodisk.machines.segment import Namespace
from nodisk.machines.services import stop_forwarder, stop_server
from nodisk.records import running, virtual_lab
from nodisk.records.database import Database
from nodisk.state import LabState, State


def named(state: State, name: str) -> Remains:
    """What there is of the lab of that name; raises UsageError, with the names that there are."""
    names = [lab.name for lab in state.each_lab()]
    if name not in names:
        hint = f"there are {', '.join(names)}" if names else "it has no lab at all; --state DIR names another directory"
        raise UsageError(f"{state.root} has no lab called {name!r}", hint=hint)
    return Remains(state.lab(name))


@dataclass(frozen=True, slots=True)
class Remains:
    """One virtual lab, as its state and its network namespace show it."""

    state: LabState

    @property
    def namespace(self) -> Namespace:
        """Its network namespace."""
        return Namespace(self.state.name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lab for a command that changes it; raises Busy if another one does."""
        with files.lock(self.state.root / "lab.lock", f"the virtual lab {self.state.name}"):
            yield

    def need_virtual(self, *, remove: bool = True) -> None:
        """Raise UsageError where the state is a real room's, or a server uses it outside of the virtual lab.

        Without ``remove``, what a virtual lab left running beside a room's state may still be taken down.
        """
        name, netns = self.state.name, self.namespace.netns
        outside = running.process(self.state)
        if outside is not None and outside not in processes.in_namespace(netns, every=True):
            raise UsageError(
                f"the server of {name} (pid {outside}) is a real room's, not a virtual lab's",
                hint=f"stop it with systemctl stop nodisk or Ctrl-C; {self._others()}",
            )
        interface = virtual_lab.room_interface(self.state)
        left = virtual_record.read(self.state) is not None or self.namespace.exists()
        if interface is not None and (remove or not left):
            raise UsageError(
                f"{self.state.root} is a real room's: its server last ran on the network interface {interface}",
                hint=f"for a virtual lab, use another state directory: --state DIR; {self._others()}",
            )

    def _others(self) -> str:
        """The virtual labs that run, as a hint names them."""
        others = [state for state in self.state.state.each_lab() if state.name != self.state.name]
        named = ", ".join(f"--lab {file}" for state in others if (file := virtual_record.file_of(state)) is not None)
        return f"the running virtual lab: {named}" if named else "no other virtual lab is running"

    def down(self, say: Callable[[str], None], *, purge: bool = False, cut: Callable[[], list[str]] = list) -> bool:
        """Stop everything and remove every trace of the running lab; returns whether there was any.

        Safe after a crash at any point. The lab's state (etcd, PKI, registry, logs) stays unless ``purge``. Raises
        UsageError, and touches nothing, where the state is a real room's; Busy for ``purge`` while somebody measures or
        tests the cluster, whose results would go. ``cut`` takes the power of the machines that lab.yaml names, and
        returns whom it found on; the others end with the namespace.
        """
        self.need_virtual(remove=purge)
        with files.unlocked(self.state.measuring, "this cluster") if purge else nullcontext():
            return self._down(say, purge=purge, cut=cut)

    def _down(self, say: Callable[[str], None], *, purge: bool, cut: Callable[[], list[str]]) -> bool:
        namespace = self.namespace
        there = virtual_record.read(self.state) is not None or namespace.exists()
        if on := cut():
            say(f"powered off: {', '.join(on)}")
        if stop_server(self.state):
            say("server stopped")
        stop_forwarder(self.state)
        if namespace.exists():
            # A daemon whose server was killed, a machine that is no longer in lab.yaml: what is in it is the lab's.
            left = processes.in_namespace(namespace.netns)
            if left:
                processes.end(left)
            namespace.down()
            say(f"network namespace {namespace.netns} removed")
        virtual_record.remove(self.state)
        if self.state.database.exists() and not purge:
            with Database(self.state.database) as database:
                database.disarm()
        shutil.rmtree(self.state.run, ignore_errors=True)
        if purge and self.state.root.exists():
            shutil.rmtree(self.state.root)
            say(f"state {self.state.root} removed")
            there = True
        return there or bool(on)


def need_root() -> None:
    """Raise where the user may not make namespaces."""
    if os.geteuid() != 0:
        raise EnvironmentProblem("a virtual lab needs root to create a network namespace", hint="use sudo")
