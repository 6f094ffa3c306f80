"""Debian's generic kernel, as a room of real PCs boots it, with every NIC that QEMU has; and cables and switches.

Cards with an option ROM boot by it, tulip boots iPXE from its own image, as a stick would. igb runs on Debian 13's QEMU
where this host's is older than 8.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.support import debian_tree
from tests.vm.driver import Driver
from tests.vm.machines import Change, Machines, booting, by, last, tell

from nodisk.machines import nics
from nodisk.spec.model import Nic
from nodisk.state import DEFAULT_STATE, State
from nodisk.values import Stage
from nodisk.waiting import Deadline

pytestmark = [pytest.mark.vm, pytest.mark.apart]

AT_ONCE = 3
"""Machines that boot at the same time."""
QEMU_HAS = subprocess.run(["qemu-system-x86_64", "-device", "help"], check=True, capture_output=True, text=True).stdout
OWN = [nic for nic in Nic if f'name "{nic}"' in QEMU_HAS]
NEWER = [nic for nic in Nic if nic not in OWN]
"""igb, where QEMU is older than 8."""
BATCHES = [nics_[place : place + AT_ONCE] for nics_ in (OWN, NEWER) for place in range(0, len(nics_), AT_ONCE)]
STARTED = "Probing EDD"
"""Linux' first words, before it has a driver for any card."""
NO_CARRIER = "no carrier on eth0 after 30 seconds: is the cable in?"
SAYS = "] nodisk: "
"""Linux says it, after the time of its own: iPXE's script begins a line so, too."""
LISTENING, FORWARDING = 1, 3
"""States of a bridge's port, as Linux numbers them (uapi/linux/if_bridge.h)."""
HANDED = (Nic.PCNET, Nic.USB_NET, Nic.IGB)
"""iPXE of 2019 brings a kilobyte a second over the first, emulated, and does not see the second at all. On the third of
QEMU 10.0 neither iPXE of 2019 nor 1.21 (2025) sees a link."""
HAND_WIRED = ("two-cards", "late-carrier", "spanning-tree")


def lab() -> str:
    """A machine a card, named after it, and three whose cables are another matter."""
    rows = []
    for number, name in enumerate([*Nic, *HAND_WIRED], start=16):
        nic = Nic.E1000E if name in HAND_WIRED else name
        mac = f"{'40' if nic is Nic.USB_NET else '52'}:54:00:90:00:{number:02x}"
        role = "control-plane" if name == Nic.VIRTIO else "worker"
        rows.append(
            {"name": str(name), "mac": mac, "address": f"10.90.0.{number}", "role": role, "memory": "1GiB"}
            | {"nic_model": str(nic)}
        )
    return json.dumps(
        {
            "name": "vmtest-cards",
            "network": {"subnet": "10.90.0.0/24", "server": "10.90.0.1"},
            "os": {"kernel": "generic"},
            "machines": rows,
        },
        indent=1,
    )


def handed(machines: Machines, name: str) -> Iterator[Callable[[], bool]]:
    """QEMU loads what iPXE would have."""
    newer: list[Change] = [by(debian_tree.qemu(State(DEFAULT_STATE)))] if name in NEWER else []
    machines.on(name, last(*machines.loaded(name)), *newer)
    yield lambda: Stage.OS in machines.stages(name)


def two_cards(machines: Machines, name: str) -> Iterator[Callable[[], bool]]:
    """Of two cards of one kind the second has the cable."""
    spare = ["-netdev", "hubport,id=spare,hubid=1", "-device", "e1000e,netdev=spare,mac=52:54:00:90:01:00"]

    def with_spare(argv: list[str]) -> list[str]:
        place = argv.index("-netdev")
        return [*argv[:place], "-S", *spare, *argv[place:]]

    machines.on(name, with_spare)
    machines.cable(name, "spare", up=False)
    machines.qmp(name, "cont")
    yield lambda: Stage.OS in machines.stages(name)


def late_carrier(machines: Machines, name: str) -> Iterator[Callable[[], bool]]:
    """When Linux takes the card over, its carrier is gone for more than 30 s: a switch or a card that negotiates."""
    machines.on(name)
    yield lambda: STARTED in machines.console(name)
    machines.cable(name, "net0", up=False)
    yield lambda: NO_CARRIER in machines.console(name)
    machines.cable(name, "net0", up=True)
    yield lambda: Stage.OS in machines.stages(name)


def spanning_tree(machines: Machines, name: str) -> Iterator[Callable[[], bool]]:
    """The carrier is there, and the switch passes nothing for 30 s after Linux has taken the card over."""
    machines.on(name)
    yield lambda: STARTED in machines.console(name)
    machines.port(name, LISTENING)
    yield lambda: SAYS in machines.console(name)
    forward = Deadline(30)
    yield lambda: forward.passed
    machines.port(name, FORWARDING)
    yield lambda: Stage.OS in machines.stages(name)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """The lab with its server, every machine off."""
    file = tmp_path_factory.mktemp("vmtest-cards") / "lab.yaml"
    file.write_text(lab())
    driver = Driver(file)
    driver("lab", "down", "--purge")
    try:
        driver("build", timeout=1800)
        found = Machines(driver)
        by_themselves = tuple(one for one in found.virtual.lab.machines if one.nic_model is not Nic.IGB)
        nics.check(found.virtual.lab.model_copy(update={"machines": by_themselves}))
        driver.start_server()
        yield found
    finally:
        driver("lab", "down", "--purge")


@pytest.mark.parametrize("cards", BATCHES, ids="+".join)
def test_every_card_boots(machines: Machines, cards: list[Nic]) -> None:
    tell(machines, {str(card): handed if card in HANDED else booting() for card in cards})
    for card in cards:
        stages = machines.stages(str(card))
        before = [] if card in HANDED else ["dhcp", "ipxe"]
        assert list(stages)[: len(before) + 4] == [*before, "kernel", "rootfs", "config", "os"], card
        print(f"{card}: os after {stages[Stage.OS]:.0f} s")


def test_cables_and_switches(machines: Machines) -> None:
    tell(machines, {"two-cards": two_cards, "late-carrier": late_carrier, "spanning-tree": spanning_tree})
    for name in HAND_WIRED:
        print(f"{name}: os after {machines.stages(name)[Stage.OS]:.0f} s")
    assert "the server did not take the event kernel" in machines.console("spanning-tree")
