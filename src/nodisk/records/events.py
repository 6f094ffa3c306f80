"""Events, and how a machine's stage follows from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from nodisk import ports
from nodisk.values import Mac, Stage

ORDER = {stage: place for place, stage in enumerate(Stage)}
"""The order of the stages; FAILED is not among them."""


class Kind(StrEnum):
    """What an event is about."""

    STAGE = "stage"  # a machine came a step further, or failed
    NODE = "node"  # its node's condition changed after that
    UNKNOWN = "unknown"  # a machine asked that lab.yaml doesn't know
    ALARM = "alarm"  # something that an honest machine doesn't do
    DAEMON = "daemon"  # the server's own doings


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    id: int
    time: float
    """Seconds since 1970, of the server's clock."""
    kind: Kind
    detail: str
    source: str
    """Who reported it: an address, a daemon's name, ``api``."""
    mac: Mac | None = None
    machine: str | None = None
    boot_id: str | None = None
    stage: Stage | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable form of ``nodisk events --output json``."""
        return {
            "id": self.id,
            "time": iso(self.time),
            "kind": str(self.kind),
            "machine": self.machine,
            "mac": None if self.mac is None else str(self.mac),
            "stage": None if self.stage is None else str(self.stage),
            "detail": self.detail,
            "source": self.source,
            "boot_id": self.boot_id,
        }


def iso(seconds: float) -> str:
    """A time as in JSON output: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a machine's newest boot has got."""

    stage: Stage | None = None
    """None: never seen."""
    since: float | None = None
    """When it reached that stage."""
    started: float | None = None
    """When this boot began (its first event)."""
    boot_id: str | None = None
    reason: str = ""
    """For FAILED: the step and the reason, as the machine reported them."""
    times: tuple[tuple[Stage, float], ...] = ()
    """When each stage of this boot was first reached, in the order of arrival."""


FIRMWARE, IPXE = "firmware", "iPXE"
"""The detail of an event ``dhcp``: who asked for an address. Firmware for which there is no program has more words."""
FETCHES_WITHIN = 120.0
"""Seconds from a machine's DHCP lease to what it fetches next; a slow PC's firmware needs some."""


def fetched_nothing(events: Iterable[Event], now: float) -> str:
    """What stands in the way of a machine that got an address and has fetched nothing since, from its events in order.

    '' if it has fetched something, or may still do.
    """
    asking = Asking()
    for event in events:
        asking.add(event)
    return asking.fetched_nothing(now)


@dataclass(slots=True)
class Asking:
    """Whether a machine has fetched anything since it got an address, event by event."""

    since: float | None = None
    """When it first got one; None: it has fetched something since, or never got one."""
    who: str = ""
    """Who asked last: the detail of its newest event."""

    def add(self, event: Event) -> None:
        """Its next event."""
        if event.kind is Kind.STAGE and event.stage is not None:
            self.who = event.detail
            # Firmware that gets nothing asks for an address again and again.
            self.since = None if event.stage is not Stage.DHCP else event.time if self.since is None else self.since

    def fetched_nothing(self, now: float) -> str:
        """As the function of that name says it."""
        if self.since is None or now - self.since < FETCHES_WITHIN:
            return ""
        if self.who == IPXE:
            http = f"HTTP ({ports.HTTP}/tcp)"
            return f"iPXE got an address and never asked for its boot script: is {http} to the server blocked?"
        if self.who.startswith(f"{FIRMWARE} for"):
            return f"it has {self.who}"
        tftp = f"TFTP ({ports.TFTP}/udp)"
        what = "neither iPXE nor GRUB ever started"
        return f"its firmware got an address and {what}: {tftp} blocked, or Secure Boot refuses what it loads?"


def progress(events: Iterable[Event]) -> Progress:
    """The newest boot's furthest stage, from one machine's events in their order (``boots``)."""
    return [Progress(), *boots(events)][-1]


def boots(events: Iterable[Event]) -> Iterator[Progress]:
    """How far each boot got, from one machine's events in their order; the newest is the last.

    A new boot begins when firmware or iPXE asks (dhcp, ipxe) after the machine had got further than that or had failed,
    or when an event has another boot id. Late reports of an earlier stage change nothing. A failure holds until the
    same boot gets further than it had when it failed, or is reported ready: nothing is further.
    """
    way = Way()
    for event in events:
        if (before := way.add(event)) is not None:
            yield before
    if way.now.stage is not None:
        yield way.now


@dataclass(slots=True)
class Way:
    """A machine's newest boot, event by event, as ``boots`` has it."""

    now: Progress = Progress()
    furthest: Stage | None = None
    """The furthest stage of that boot; None: it has only failed."""

    def add(self, event: Event) -> Progress | None:
        """The machine's next event; returns the boot that ends because it begins another."""
        if event.kind is not Kind.STAGE or event.stage is None:
            return None
        before = None
        if _restarts(self.now, self.furthest, event):
            before = self.now
            self.now, self.furthest = Progress(started=event.time), None
        self.now = self._after(event, event.stage)
        return before

    def _after(self, event: Event, stage: Stage) -> Progress:
        now, boot_id = self.now, event.boot_id or self.now.boot_id
        if stage is Stage.FAILED:
            return Progress(stage, event.time, now.started or event.time, boot_id, event.detail, now.times)
        further = self.furthest is None or ORDER[stage] > ORDER[self.furthest]
        healed = now.stage is Stage.FAILED and stage is Stage.READY
        if not further and not healed:
            return Progress(now.stage, now.since, now.started, boot_id, now.reason, now.times)
        self.furthest = stage
        times = (*now.times, (stage, event.time)) if further else now.times
        return Progress(stage, event.time, now.started or event.time, boot_id, "", times)


def _restarts(now: Progress, furthest: Stage | None, event: Event) -> bool:
    if now.stage is None or event.stage is None:
        return False
    if now.boot_id and event.boot_id and event.boot_id != now.boot_id:
        return True
    if event.stage not in (Stage.DHCP, Stage.IPXE):
        return False
    if now.stage is Stage.FAILED or furthest is None:
        return True
    # iPXE asks by DHCP itself, once more, between the firmware's dhcp and its own ipxe.
    return ORDER[furthest] > ORDER[Stage.IPXE] or (furthest is Stage.IPXE and event.stage is Stage.DHCP)
