"""A lab's machines one by one, each with the arguments of QEMU that a test wants, and what is done to them told as
stories that run side by side."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver

from nodisk import run
from nodisk.assets.store import Store
from nodisk.machines import qemu, qmp
from nodisk.machines.hangs import Hangs
from nodisk.machines.segment import tap_name
from nodisk.machines.virtual import Virtual
from nodisk.plan import network
from nodisk.records.database import Database
from nodisk.records.events import Kind, progress
from nodisk.spec.model import Machine
from nodisk.values import Stage
from nodisk.waiting import Deadline

Change = Callable[[list[str]], list[str]]
"""What a test makes of a machine's command line."""


def last(*words: str) -> Change:
    """Words at the end, where they win."""
    return lambda argv: [*argv, *words]


def by(program: list[str]) -> Change:
    """Another QEMU, given as the words that begin a command line."""
    return lambda argv: [*program, *argv[1:]]


def with_rom(rom: Path) -> Change:
    """Another option ROM in virtio's NIC.

    It is for virtio 1.0's id. QEMU makes its own ROM fit the NIC that has the older one as well, but no other file.
    """
    more = f",disable-legacy=on,romfile={rom}"
    return lambda argv: [word + more if word.startswith("virtio-net-pci,") else word for word in argv]


class Machines:
    """The lab's machines; each is on only as long as a test needs it."""

    def __init__(self, driver: Driver) -> None:
        context = driver.context()
        self.driver = driver
        self.virtual = Virtual(context.lab, driver.file, context.state)
        self._began: dict[str, tuple[float, int]] = {}

    def machine(self, name: str) -> Machine:
        """By its name."""
        return self.virtual.machines((name,))[0]

    def on(self, name: str, *changes: Change, variables: Path | None = None) -> None:
        """Switch a machine on; what it says and reports counts from now on.

        ``changes``: to QEMU's arguments, one after the other; ``variables``: UEFI's, in place of Debian's.
        """
        console, machine = self._console_file(name), self.machine(name)
        self._began[name] = (time.time(), console.stat().st_size if console.exists() else 0)
        lab, state, segment = self.virtual.lab, self.virtual.state, self.virtual.segment
        paths = qemu.Paths.of(state, machine)
        for folder in (paths.pid.parent, paths.console.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if flash := qemu.uefi(lab.firmware(machine)):
            shutil.copyfile(variables or flash[1], paths.variables)
        words = qemu.arguments(state, lab, machine, tap=segment.tap(machine.mac), accel=qemu.accelerator())
        for change in changes:
            words = change(words)
        run.run(words, netns=segment.netns, timeout=60)

    def cut(self, name: str) -> None:
        """Take its power away."""
        self.virtual.power.cut(self.machine(name))

    def console(self, name: str) -> str:
        """What it has printed since it was switched on."""
        file = self._console_file(name)
        return file.read_bytes()[self._began[name][1] :].decode(errors="replace") if file.exists() else ""

    def stages(self, name: str) -> dict[Stage, float]:
        """What it has reached since then, and after how many seconds; a machine that says that it failed ends all."""
        began = self._began[name][0]
        with Database(self.virtual.state.database) as database:
            now = progress(database.events(since=began, mac=self.machine(name).mac, kinds=(Kind.STAGE,)))
        if now.stage is Stage.FAILED:
            pytest.fail(f"{name} failed: {now.reason}\n{self.console(name)[-2000:]}")
        return {stage: when - began for stage, when in now.times}

    def reported(self, name: str, stage: Stage) -> str | None:
        """What it, or the server for it, said of a stage since then; None: nothing yet."""
        return self.driver.reported(name, [stage], self._began[name][0])

    def loaded(self, name: str) -> list[str]:
        """Kernel, initramfs and command line of the machine's script, as QEMU's arguments."""
        url = f"{network.server_url(self.virtual.lab)}/boot/{self.machine(name).mac.hyphened}.ipxe"
        script = run.run(["curl", "--silent", "--fail", url], netns=self.virtual.segment.netns).stdout
        kernel = re.search(r"^kernel \S+/assets/(\S+) (.*) \|\|", script, re.MULTILINE)
        initramfs = re.search(r"^initrd .*/assets/(\S+) \|\|", script, re.MULTILINE)
        assert kernel is not None, script
        assert initramfs is not None, script
        objects = Store(self.virtual.state.state).objects
        return ["-kernel", f"{objects}/{kernel[1]}", "-initrd", f"{objects}/{initramfs[1]}", "-append", kernel[2]]

    def cable(self, name: str, device: str, *, up: bool) -> None:
        """Put a cable into a card, or take it out."""
        self.qmp(name, "set_link", {"name": device, "up": up})

    def qmp(self, name: str, command: str, arguments: dict[str, object] | None = None) -> None:
        """Tell its QEMU something."""
        qmp.execute(qemu.Paths.of(self.virtual.state, self.machine(name)).qmp, command, arguments)

    def port(self, name: str, state: int) -> None:
        """Set the state of its port of the switch, as a spanning tree does."""
        words = ["bridge", "-n", self.virtual.segment.netns, "link", "set", "dev", tap_name(self.machine(name).mac)]
        run.run([*words, "state", str(state)])

    def log(self, name: str) -> str:
        """A daemon's log."""
        return (self.virtual.state.log / name).read_text(errors="replace")

    def _console_file(self, name: str) -> Path:
        return qemu.Paths.of(self.virtual.state, self.machine(name)).console


Story = Callable[[Machines, str], Iterator[Callable[[], bool]]]
"""What is done to a machine: each truth that is yielded is waited for before the story goes on."""


def booting(*changes: Change, variables: Path | None = None) -> Story:
    """The story of a machine that is switched on and comes to `os`."""

    def story(machines: Machines, name: str) -> Iterator[Callable[[], bool]]:
        machines.on(name, *changes, variables=variables)
        yield lambda: Stage.OS in machines.stages(name)

    return story


def tell(machines: Machines, stories: Mapping[str, Story]) -> None:
    """Run the stories of several machines at once, to their ends. What the emulator lets hang begins anew, once."""
    hangs = Hangs(machines.virtual.power.pid)
    running = {name: story(machines, name) for name, story in stories.items()}
    waiting = {name: next(story) for name, story in running.items()}
    deadline = Deadline(BOOT_WITHIN)
    try:
        while waiting:
            for name, arrived in list(waiting.items()):
                if arrived():
                    following = next(running[name], None)
                    if following is None:
                        del waiting[name]
                        machines.cut(name)  # its processors are the others' now
                    else:
                        waiting[name] = following
            reached = [(machines.machine(name), next(reversed(machines.stages(name)), None)) for name in waiting]
            for machine in hangs.look(reached):
                name = str(machine.name)
                machines.cut(name)
                running[name] = stories[name](machines, name)
                waiting[name] = next(running[name])
            if not deadline.pause(0.2):
                ends = "\n".join(f"--- {name}\n{machines.console(name)[-2000:]}" for name in waiting)
                pytest.fail(f"no end after {BOOT_WITHIN:g} s:\n{ends}")
    finally:
        for name in stories:
            machines.cut(name)
