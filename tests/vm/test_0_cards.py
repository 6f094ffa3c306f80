"""Debian's generic kernel, as a room of real PCs boots it, with every NIC that QEMU has; and cables and switches.

Cards with an option ROM boot by it. The others (tulip, usb-net, igb) boot iPXE from its own image, as a stick would.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver

from nodisk import run
from nodisk.assets.store import Store
from nodisk.machines import nics, qemu, qmp
from nodisk.machines.hangs import Hangs
from nodisk.machines.segment import tap_name
from nodisk.machines.virtual import Virtual
from nodisk.plan import network
from nodisk.records.database import Database
from nodisk.records.events import Kind, progress
from nodisk.spec.model import Machine, Nic
from nodisk.values import Stage
from nodisk.waiting import Deadline

pytestmark = [pytest.mark.vm, pytest.mark.apart]

AT_ONCE = 3
"""Machines that boot at the same time."""
QEMU_HAS = subprocess.run(["qemu-system-x86_64", "-device", "help"], check=True, capture_output=True, text=True).stdout
CARDS = [nic for nic in Nic if f'name "{nic}"' in QEMU_HAS]
"""All but igb, where QEMU is older than 8."""
BATCHES = [CARDS[place : place + AT_ONCE] for place in range(0, len(CARDS), AT_ONCE)]
STARTED = "Probing EDD"
"""Linux' first words, before it has a driver for any card."""
NO_CARRIER = "no carrier on eth0 after 30 seconds: is the cable in?"
SAYS = "] nodisk: "
"""Linux says it, after the time of its own: iPXE's script begins a line so, too."""
LISTENING, FORWARDING = 1, 3
"""States of a bridge's port, as Linux numbers them (uapi/linux/if_bridge.h)."""
HANDED = (Nic.PCNET, Nic.USB_NET)
"""iPXE of 2019 brings a kilobyte a second over the first, emulated, and does not see the second at all."""
HAND_WIRED = ("two-cards", "late-carrier", "spanning-tree")


def lab() -> str:
    """A machine a card, named after it, and three whose cables are another matter."""
    machines = []
    for number, name in enumerate([*CARDS, *HAND_WIRED], start=16):
        nic = name if name in CARDS else Nic.E1000E
        mac = f"{'40' if nic is Nic.USB_NET else '52'}:54:00:90:00:{number:02x}"
        role = "control-plane" if name == Nic.VIRTIO else "worker"
        machines.append(
            {"name": str(name), "mac": mac, "address": f"10.90.0.{number}", "role": role, "memory": "1GiB"}
            | {"nic_model": str(nic)}
        )
    return json.dumps(
        {
            "name": "vmtest-cards",
            "network": {"subnet": "10.90.0.0/24", "server": "10.90.0.1"},
            "os": {"kernel": "generic"},
            "machines": machines,
        },
        indent=1,
    )


class Room:
    """The lab's machines one by one; each is on only as long as a test needs it."""

    def __init__(self, driver: Driver) -> None:
        context = driver.context()
        self.driver = driver
        self.virtual = Virtual(context.lab, driver.file, context.state)
        self._began: dict[str, tuple[float, int]] = {}

    def machine(self, name: str) -> Machine:
        """By its name."""
        return self.virtual.machines((name,))[0]

    def on(self, name: str, *before: str, after: Sequence[str] = ()) -> None:
        """Switch a machine on; what it says and reports counts from now on.

        ``before``: arguments for QEMU before the machine's own card; ``after``: at the end, where they win.
        """
        console, machine = self._console_file(name), self.machine(name)
        self._began[name] = (time.time(), console.stat().st_size if console.exists() else 0)
        if not before and not after:
            self.virtual.power.on(machine)
            return
        lab, state, segment = self.virtual.lab, self.virtual.state, self.virtual.segment
        tap = segment.tap(machine.mac)
        words = qemu.arguments(state, lab, machine, tap=tap, accel=qemu.accelerator())
        place = words.index("-netdev")
        qemu.Paths.of(state, machine).pid.parent.mkdir(parents=True, exist_ok=True)
        run.run([*words[:place], *before, *words[place:], *after], netns=segment.netns, timeout=60)

    def cut(self, name: str) -> None:
        """Take its power away."""
        self.virtual.power.cut(self.machine(name))

    def console(self, name: str) -> str:
        """What it has printed since it was switched on."""
        return self._console_file(name).read_bytes()[self._began[name][1] :].decode(errors="replace")

    def stages(self, name: str) -> dict[Stage, float]:
        """What it has reached since then, and after how many seconds; a machine that says that it failed ends all."""
        began = self._began[name][0]
        with Database(self.virtual.state.database) as database:
            now = progress(database.events(since=began, mac=self.machine(name).mac, kinds=(Kind.STAGE,)))
        if now.stage is Stage.FAILED:
            pytest.fail(f"{name} failed: {now.reason}\n{self.console(name)[-2000:]}")
        return {stage: when - began for stage, when in now.times}

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

    def _console_file(self, name: str) -> Path:
        return qemu.Paths.of(self.virtual.state, self.machine(name)).console


Story = Callable[[Room, str], Iterator[Callable[[], bool]]]
"""What is done to a machine: each truth that is yielded is waited for before the story goes on."""


def boots(room: Room, name: str) -> Iterator[Callable[[], bool]]:
    """Nothing but its card is special."""
    room.on(name)
    yield lambda: Stage.OS in room.stages(name)


def handed(room: Room, name: str) -> Iterator[Callable[[], bool]]:
    """QEMU loads what iPXE would have."""
    room.on(name, after=room.loaded(name))
    yield lambda: Stage.OS in room.stages(name)


def two_cards(room: Room, name: str) -> Iterator[Callable[[], bool]]:
    """Of two cards of one kind the second has the cable."""
    spare = ["-netdev", "hubport,id=spare,hubid=1", "-device", "e1000e,netdev=spare,mac=52:54:00:90:01:00"]
    room.on(name, "-S", *spare)
    room.cable(name, "spare", up=False)
    room.qmp(name, "cont")
    yield lambda: Stage.OS in room.stages(name)


def late_carrier(room: Room, name: str) -> Iterator[Callable[[], bool]]:
    """When Linux takes the card over, its carrier is gone for more than 30 s: a switch or a card that negotiates."""
    room.on(name)
    yield lambda: STARTED in room.console(name)
    room.cable(name, "net0", up=False)
    yield lambda: NO_CARRIER in room.console(name)
    room.cable(name, "net0", up=True)
    yield lambda: Stage.OS in room.stages(name)


def spanning_tree(room: Room, name: str) -> Iterator[Callable[[], bool]]:
    """The carrier is there, and the switch passes nothing for 30 s after Linux has taken the card over."""
    room.on(name)
    yield lambda: STARTED in room.console(name)
    room.port(name, LISTENING)
    yield lambda: SAYS in room.console(name)
    forward = Deadline(30)
    yield lambda: forward.passed
    room.port(name, FORWARDING)
    yield lambda: Stage.OS in room.stages(name)


def tell(room: Room, stories: dict[str, Story]) -> None:
    """Run the stories of several machines at once, to their ends. What the emulator lets hang begins anew, once."""
    hangs = Hangs(room.virtual.power.pid)
    running = {name: story(room, name) for name, story in stories.items()}
    waiting = {name: next(story) for name, story in running.items()}
    deadline = Deadline(BOOT_WITHIN)
    try:
        while waiting:
            for name, arrived in list(waiting.items()):
                if arrived():
                    following = next(running[name], None)
                    if following is None:
                        del waiting[name]
                        room.cut(name)  # its processors are the others' now
                    else:
                        waiting[name] = following
            reached = [(room.machine(name), next(reversed(room.stages(name)), None)) for name in waiting]
            for machine in hangs.look(reached):
                name = str(machine.name)
                room.cut(name)
                running[name] = stories[name](room, name)
                waiting[name] = next(running[name])
            if not deadline.pause(0.2):
                ends = "\n".join(f"--- {name}\n{room.console(name)[-2000:]}" for name in waiting)
                pytest.fail(f"no end after {BOOT_WITHIN:g} s:\n{ends}")
    finally:
        for name in stories:
            room.cut(name)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The lab with its server, every machine off."""
    file = tmp_path_factory.mktemp("vmtest-cards") / "lab.yaml"
    file.write_text(lab())
    driver = Driver(file)
    driver("lab", "down", "--purge")
    try:
        driver("build", timeout=1800)
        found = Room(driver)
        nics.check(found.virtual.lab)
        driver.start_server()
        yield found
    finally:
        driver("lab", "down", "--purge")


@pytest.mark.parametrize("cards", BATCHES, ids="+".join)
def test_every_card_boots(room: Room, cards: list[Nic]) -> None:
    tell(room, {str(card): handed if card in HANDED else boots for card in cards})
    for card in cards:
        stages = room.stages(str(card))
        before = [] if card in HANDED else ["dhcp", "ipxe"]
        assert list(stages)[: len(before) + 4] == [*before, "kernel", "rootfs", "config", "os"], card
        print(f"{card}: os after {stages[Stage.OS]:.0f} s")


def test_cables_and_switches(room: Room) -> None:
    tell(room, {"two-cards": two_cards, "late-carrier": late_carrier, "spanning-tree": spanning_tree})
    for name in HAND_WIRED:
        print(f"{name}: os after {room.stages(name)[Stage.OS]:.0f} s")
    assert "the server did not take the event kernel" in room.console("spanning-tree")
