"""``nodisk lab bench --matrix``: from power-on to ``os`` by each kind of firmware, beside each way of DHCP.

One temporary lab for each way, on this lab's network, with a worker for each firmware. They boot one after another:
side by side they would measure each other. A room's own DHCP server is a dnsmasq with a pool (``room_dhcp``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.assets import build
from nodisk.bench import room_dhcp, temporary
from nodisk.errors import NodiskError, UsageError
from nodisk.machines import qemu
from nodisk.machines.hangs import Hangs
from nodisk.machines.virtual import Virtual
from nodisk.machines.watch import WAY, revive
from nodisk.plan import dhcp_answers, dhcp_snippets
from nodisk.records import host
from nodisk.records.database import Database
from nodisk.records.events import Kind, progress
from nodisk.spec.model import DhcpMode, Firmware, Lab, Machine
from nodisk.state import State
from nodisk.values import Mac, Role, Stage
from nodisk.waiting import Deadline

TO_OS = tuple(itertools.takewhile(lambda stage: stage is not Stage.ENROLLED, WAY))
"""The stages of a boot up to Linux, which are the firmware's and the network's affair."""
MEMORY = "1GiB"
POOL = 20
"""Addresses that the room's server gives out."""
SUFFIX = "matrix"


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to boot."""

    dhcp: DhcpMode
    firmware: Firmware


BASE = Cell(DhcpMode.FULL, Firmware.BIOS)
"""What the others are compared with."""


def cells() -> list[Cell]:
    """Every way that there is, the one to compare with first.

    UEFI asks for HTTP boot with a class of its own, and dnsmasq's proxyDHCP answers PXE clients only.
    """
    every = [Cell(dhcp, firmware) for dhcp in DhcpMode for firmware in Firmware]
    return [one for one in every if one.dhcp is not DhcpMode.PROXY or not one.firmware.by_http]


@dataclass(frozen=True, slots=True)
class Boot:
    """What came of one of them."""

    cell: Cell
    stages: dict[str, float]
    """Stage → seconds from power-on; without ``os`` for one that didn't get there in time."""

    @property
    def seconds(self) -> float | None:
        """From power-on to ``os``."""
        return self.stages.get(str(Stage.OS))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A whole measurement."""

    accelerator: str
    processors: int
    boots: tuple[Boot, ...]

    def ratio(self, boot: Boot) -> float | None:
        """How many times as long as BIOS with nodisk's own DHCP it took."""
        base = next((one.seconds for one in self.boots if one.cell == BASE), None)
        return None if base is None or boot.seconds is None else boot.seconds / base

    def to_json(self) -> dict[str, Any]:
        """The stable form of ``nodisk lab bench --matrix --output json``."""
        return {
            "accelerator": self.accelerator,
            "host_processors": self.processors,
            "boots": [
                {
                    "dhcp": str(boot.cell.dhcp),
                    "firmware": str(boot.cell.firmware),
                    "os_seconds": None if boot.seconds is None else round(boot.seconds, 1),
                    "to_bios_full": None if (ratio := self.ratio(boot)) is None else round(ratio, 2),
                    "stages": {stage: round(at, 1) for stage, at in boot.stages.items()},
                }
                for boot in self.boots
            ],
        }

    def rows(self) -> list[list[str]]:
        """A row for each firmware, a cell for each way of DHCP: seconds and ratio."""
        found = {boot.cell: boot for boot in self.boots}
        return [
            [str(firmware), *(self._words(found.get(Cell(dhcp, firmware))) for dhcp in DhcpMode)]
            for firmware in Firmware
        ]

    def _words(self, boot: Boot | None) -> str:
        if boot is None:
            return "–"
        if boot.seconds is None:
            return f"no os, after {list(boot.stages)[-1]}" if boot.stages else "nothing came"
        ratio = self.ratio(boot)
        return f"{boot.seconds:.0f} s" + ("" if ratio is None else f" ({ratio:.2f})")


def document(lab: Lab, dhcp: DhcpMode, firmware: Sequence[Firmware]) -> dict[str, Any]:
    """The lab.yaml of one way of DHCP, with a worker for each firmware.

    Raises UsageError for a subnet with too few addresses.
    """
    free = _free(lab.network.subnet, lab.network.server)
    if len(free) < len(firmware) + POOL + 2:
        raise UsageError(f"{lab.network.subnet} is too small for a room's DHCP server", hint="take a lab with a /24")
    # A cluster must have a control plane; nobody switches this one on.
    kinds = [Firmware.BIOS, *firmware]
    machines = [
        {
            "name": "never-on" if number == 0 else str(one),
            "mac": f"52:54:00:6d:{list(DhcpMode).index(dhcp):02x}:{number:02x}",
            "address": str(free[number]),
            "role": "worker" if number else "control-plane",
            "memory": MEMORY,
            "firmware": str(one),
            **({"secure_boot": True} if one.signed_only else {}),
        }
        for number, one in enumerate(kinds)
    ]
    network = {"subnet": str(lab.network.subnet), "server": str(lab.network.server), "dhcp": str(dhcp)}
    kept = lab.model_dump(mode="json", exclude_defaults=True, include={"os", "kubernetes"})
    return {"name": temporary.name(lab, SUFFIX), **kept, "network": network, "machines": machines}


def _free(subnet: IPv4Network, server: IPv4Address) -> list[IPv4Address]:
    """The subnet's first addresses that are not the server's, as many as are needed."""
    hosts = (one for one in subnet.hosts() if one != server)
    return list(itertools.islice(hosts, len(Firmware) + POOL + 2))


def room_addresses(lab: Lab) -> list[IPv4Address]:
    """The room's own DHCP server's address, and its pool."""
    return _free(lab.network.subnet, lab.network.server)[-POOL - 1 :]


def measure(lab: Lab, state: State, *, within: float, say: Callable[[str], None] = lambda _: None) -> Matrix:
    """Boot every cell; one that doesn't reach ``os`` within so many seconds has none, and the others go on.

    Raises Busy if the lab is being measured already, and UsageError as ``document`` and ``temporary.lab``.
    """
    with files.lock(state.lab(str(lab.name)).root / "bench.lock", f"nodisk lab bench of {lab.name}"):
        temporary.refuse_foreign(state.lab(temporary.name(lab, SUFFIX)))
        build.build(lab, state)
        lab = temporary.settled(lab, state)
        boots: list[Boot] = []
        for dhcp, group in itertools.groupby(cells(), key=lambda cell: cell.dhcp):
            firmware = [cell.firmware for cell in group]
            text = document(lab, dhcp, firmware)
            # Loaders of every firmware may have to be fetched.
            with temporary.lab(text, state, offline=False) as virtual, _room(virtual, dhcp):
                for boot in _boots(virtual, dhcp, within):
                    reached = "did not reach os" if boot.seconds is None else f"os after {boot.seconds:.0f} s"
                    say(f"dhcp: {dhcp}, {boot.cell.firmware}: {reached}")
                    boots.append(boot)
    return Matrix(qemu.accelerator().technique, len(os.sched_getaffinity(0)), tuple(boots))


@contextlib.contextmanager
def _room(virtual: Virtual, dhcp: DhcpMode) -> Iterator[None]:
    """The room's own DHCP server, where this way has one."""
    if dhcp is DhcpMode.FULL:
        yield
        return
    lab, snippet = virtual.lab, ""
    if dhcp is DhcpMode.NONE:
        place = host.read(virtual.state.host)
        if place is None:
            raise NodiskError(f"{virtual.state.host} is missing or damaged", hint="run it again")
        snippet = dhcp_snippets.snippet(dhcp_answers.on(place, lab), dhcp_snippets.Server.DNSMASQ)
    free = room_addresses(lab)
    address = IPv4Interface(f"{free[0]}/{lab.network.subnet.prefixlen}")
    with (
        tempfile.TemporaryDirectory(prefix="nodisk-room-") as folder,
        room_dhcp.serving(virtual.segment, address, (free[1], free[-1]), Path(folder), snippet),
    ):
        yield


def _boots(virtual: Virtual, dhcp: DhcpMode, within: float) -> Iterator[Boot]:
    with Database(virtual.state.database) as database:
        for machine in virtual.lab.by_role(Role.WORKER):
            began = time.time()
            virtual.power.on(machine)
            virtual.power.level()
            try:
                _await_os(virtual, database, machine, Deadline(within))
            finally:
                virtual.power.cut(machine)
            yield Boot(Cell(dhcp, virtual.lab.firmware(machine)), stages(database, machine.mac, began))


def _await_os(virtual: Virtual, database: Database, machine: Machine, deadline: Deadline) -> None:
    hangs = Hangs(virtual.power.pid)
    while True:
        way = progress(database.events(mac=machine.mac, kinds=(Kind.STAGE,)))
        if any(stage is Stage.OS for stage, _ in way.times):
            return
        for one in hangs.look([(machine, way.stage)]):
            revive(virtual.power, database, one)
        virtual.services.check_server()
        if not deadline.pause(0.2):
            return


def stages(database: Database, mac: Mac, began: float) -> dict[str, float]:
    """Stage → seconds from power-on to when it was first reported."""
    found: dict[str, float] = {}
    for event in database.events(mac=mac, kinds=(Kind.STAGE,)):
        if event.stage in TO_OS:
            found.setdefault(str(event.stage), event.time - began)
    return found


def headings() -> Sequence[str]:
    """The table's."""
    return ("FIRMWARE", *(f"DHCP {str(dhcp).upper()}" for dhcp in DhcpMode))
