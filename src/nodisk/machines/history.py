"""What machines have reported, kept from one look at the records to the next: each event is read once.

A room that has run for weeks has hundreds of events of each machine. Who looks every second must not read all of them
every second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from nodisk.machines.pace import NEWEST
from nodisk.records.database import Database
from nodisk.records.events import Asking, Event, Kind, Progress, Way
from nodisk.values import Mac, Stage

MOST = 500
"""Events of a machine that are read when it is first looked at."""
MOST_NEW = 20_000
"""New events that are read one after the other. Where there are more, nobody has looked for long, and all machines are
looked at as if for the first time."""


@dataclass(slots=True)
class Past:
    """One machine's."""

    way: Way = field(default_factory=Way)
    asking: Asking = field(default_factory=Asking)
    ready: deque[Progress] = field(default_factory=lambda: deque(maxlen=NEWEST))
    """Its newest boots before this one that came to Ready."""
    newest: int = 0
    """The number of its newest event."""

    def add(self, event: Event) -> None:
        """Its next event; one that is known already changes nothing."""
        if event.id <= self.newest:
            return
        self.newest = event.id
        self.asking.add(event)
        before = self.way.add(event)
        if before is not None and any(stage is Stage.READY for stage, _ in before.times):
            self.ready.append(before)

    @property
    def boots(self) -> tuple[Progress, ...]:
        """Those that came to Ready, and the newest."""
        return (*self.ready, self.way.now)


@dataclass(slots=True)
class History:
    """That of a lab's machines."""

    machines: dict[Mac, Past] = field(default_factory=dict)
    newest: int = 0
    """The number of the newest event of all when the records were last read."""

    def read(self, database: Database, macs: Collection[Mac]) -> None:
        """Read what is new of these machines, and forget all others. Takes one caller at a time."""
        last = max((event.id for event in database.events(limit=1)), default=0)
        if not self.newest <= last <= self.newest + MOST_NEW:  # or the records are other ones: of a backup
            self.machines.clear()
        self.machines = {mac: past for mac, past in self.machines.items() if mac in macs}
        if self.machines:
            for event in database.events(after=self.newest, kinds=(Kind.STAGE,)):
                if event.mac is not None and (past := self.machines.get(event.mac)) is not None:
                    past.add(event)
        for mac in macs:
            if mac not in self.machines:
                past = Past()
                for event in database.events(mac=mac, kinds=(Kind.STAGE,), limit=MOST):
                    past.add(event)
                self.machines[mac] = past
        self.newest = last
