"""Which machine is the slowest of a room that boots, and what perhaps holds it up. Pure: a guess, said as one.

A guess is a sentence with places for what it is about, so that another language has the same places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from nodisk import ui
from nodisk.machines.asked import Api
from nodisk.machines.status import Row, Status
from nodisk.spec import menu
from nodisk.values import Role, Stage

BROKEN = "perhaps because its PC is noted as broken"
NO_LINK = "perhaps its cable or the switch's port: it printed that its network card has no link"
NO_MEMORY = "perhaps it has too little RAM: it printed that something is full"
HARDWARE = "perhaps its hardware: it printed errors of a device"
SERVICE = "perhaps a service of it: it printed that {what} failed"
AGAIN = "perhaps its way to the server: it printed that it tries again"
API = "perhaps it is further already: only the API tells, and it does not answer"
CONTROL_PLANE = "perhaps it waits for a control plane: none is ready"
USUAL = "perhaps nothing: half of this room's boots took {usual} for it"
MENU = "perhaps it waits at its boot menu for a key"
KERNEL = (
    "perhaps its kernel does not start, or has no driver for its network card: it loaded both files and said nothing"
)
FIRMWARE = "perhaps it still loads the kernel: the server has not sent it whole yet"
TWICE = "perhaps its transfers break off: it loaded {mb} MB, others {others} MB"
LINK = "perhaps its cable: the server reached it with {mbps} Mbit/s when it was measured, others with {others}"
CROWD = "perhaps the server's cable is full: {count} machines load the image now"
PEERS = "perhaps few machines have the image yet, to give it on: {count} load it now"
IMAGES = "perhaps it pulls container images, as {count} machines do now"
OTHERS = "perhaps this PC: half of this room's boots took {usual} for it"
TEXTS = (
    BROKEN, NO_LINK, NO_MEMORY, HARDWARE, SERVICE, AGAIN, API, CONTROL_PLANE, USUAL, MENU, KERNEL, FIRMWARE,
    TWICE, LINK, CROWD, PEERS, IMAGES, OTHERS,
)  # fmt: skip
"""Every sentence."""

TOLD_WITH = 1.0
"""Seconds by which lines may be older than the stage that they came with."""
LINES = 5
"""Of what it printed: the newest ones count."""
SIGNS = (
    (re.compile(r"no carrier on |NIC Link is Down|: Link is Down", re.IGNORECASE), NO_LINK),
    (re.compile(r"Out of memory|No space left on device|oom-kill", re.IGNORECASE), NO_MEMORY),
    (re.compile(r"Hardware Error|Machine check|I/O error", re.IGNORECASE), HARDWARE),
    (re.compile(r"nodisk: FAILED: (?P<what>[\w@.-]{1,60})"), SERVICE),
    (re.compile(r"again in \d+ s|\(try [2-9],|did not take the event"), AGAIN),
)
"""Lines that mean something, as Linux and the node image print them."""
CROWDED = 4
"""Machines at the same stage that share something."""
SLOWER = 2.0
"""Times as long, or as little in a second, as others: that is no chance."""
MORE = 1.2
"""Times as many bytes of one file as others loaded: it was begun more than once."""
ODD = 1.5
"""Times as long as usual until which nothing is odd."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A sentence, and what goes into its places."""

    text: str
    """One of TEXTS, in English."""
    values: Mapping[str, str] = field(default_factory=dict)

    def words(self, text: str | None = None) -> str:
        """The sentence; ``text``: the same in another language."""
        return (self.text if text is None else text).format(**self.values)


def slowest(status: Status) -> Row | None:
    """Of the machines on the way to Ready, the one that has been at its stage for the longest; a broken PC last."""
    rows = [row for row in status.rows if _under_way(row)]
    rows = [row for row in rows if row.broken is None] or rows
    return min(rows, key=lambda row: row.progress.since or 0.0, default=None)


def _under_way(row: Row) -> bool:
    return row.progress.stage not in (None, Stage.READY, Stage.FAILED)


def guess(status: Status, row: Row) -> Guess | None:
    """What perhaps holds a machine up that is under way; None: nothing that is known says anything."""
    if not _under_way(row):
        return None
    if row.broken is not None:
        return Guess(BROKEN)
    stage = row.progress.stage
    if stage in (Stage.ENROLLED, Stage.JOINED) and status.api not in (Api.ANSWERS, Api.NONE):
        return Guess(API)
    if stage is Stage.ENROLLED and row.machine.role is Role.WORKER and not _leads(status):
        return Guess(CONTROL_PLANE)
    if (said := _printed(row)) is not None:
        return said
    return _by_others(status, row)


def _leads(status: Status) -> bool:
    """Whether a control plane is ready, or there is none to wait for."""
    stages = [one.progress.stage for one in status.rows if one.machine.role is Role.CONTROL_PLANE]
    return status.api is Api.NONE or not stages or Stage.READY in stages


def _printed(row: Row) -> Guess | None:
    """What it says itself, if it has said that at this stage."""
    printed, since = row.printed, row.progress.since
    if printed is None or since is None or printed.time < since - TOLD_WITH:
        return None
    for line in reversed(printed.lines[-LINES:]):
        for sign, text in SIGNS:
            if (found := sign.search(line)) is not None:
                return Guess(text, found.groupdict())
    return None


def _by_others(status: Status, row: Row) -> Guess | None:
    """By what the others do, or did."""
    stage, since = row.progress.stage, row.progress.since
    if stage is None or since is None:
        return None
    usual, age = status.pace.usual.get((row.machine.role, stage)), status.time - since
    if usual is not None and age <= ODD * usual:
        return Guess(USUAL, {"usual": ui.span(usual)})
    together = sum(one.progress.stage is stage for one in status.rows)
    others = [one for one in status.rows if one is not row]
    found: Guess | None = None
    if stage is Stage.IPXE:
        found = _at_firmware(status, row, others)
    elif stage is Stage.KERNEL:
        found = _at_kernel(status, row, others, together)
    elif stage is Stage.JOINED and together >= CROWDED:
        found = Guess(IMAGES, {"count": str(together)})
    if found is None and usual is not None and age >= SLOWER * usual:
        found = Guess(OTHERS, {"usual": ui.span(usual)})
    return found


def _at_firmware(status: Status, row: Row, others: Sequence[Row]) -> Guess | None:
    if menu.choice(status.lab, row.machine).timeout and not row.loaded:
        return Guess(MENU)
    files = {"vmlinuz", "initramfs"}
    if files <= row.loaded.keys():
        return Guess(KERNEL)
    # Whether the server tells of files at all is seen by the others.
    return Guess(FIRMWARE) if any(files <= one.loaded.keys() for one in others) else None


def _at_kernel(status: Status, row: Row, others: Sequence[Row], together: int) -> Guess | None:
    loaded = [one.loaded["root.squashfs"] for one in others if "root.squashfs" in one.loaded]
    mine = row.loaded.get("root.squashfs", 0)
    # With peers the first machine loads all of it from the server, and the others little.
    if status.lab.peers is None and loaded and mine >= MORE * median(loaded) > 0:
        return Guess(TWICE, {"mb": f"{mine / 1e6:.0f}", "others": f"{median(loaded) / 1e6:.0f}"})
    links = [one.mbps for one in others if one.mbps]
    if row.mbps and links and SLOWER * row.mbps <= median(links):
        return Guess(LINK, {"mbps": str(row.mbps), "others": f"{median(links):.0f}"})
    if together >= CROWDED:
        return Guess(PEERS if status.lab.peers is not None else CROWD, {"count": str(together)})
    return None
