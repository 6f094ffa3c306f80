"""All terminals of the door: who has which, how many at once, and that none outlives its use.

Pods live in the cluster, and what is known of them here ends with the console. So ``sweep`` looks for pods that nobody
knows, of a console before this one: such a pod is taken for used when it is found, and ends half an hour later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.websockets import WebSocket

from nodisk.classes import record, terminal
from nodisk.classes.record import Account, Class
from nodisk.console.terminal_messages import Size
from nodisk.console.terminal_pods import Pods
from nodisk.console.terminal_session import IDLE, End, Place, Session
from nodisk.console.words import Translate
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube.client import connect

MOST = 512
"""Connections at once. Each student has one, so classes of so many together fit; it is what the server has memory for:
half a MiB each, at worst."""
SWEEP = 60.0
"""Seconds between two looks for pods that nobody uses."""
WITHIN = 10.0
"""Seconds for one."""

_Key = tuple[str, str]


@dataclass(slots=True)
class Terminals:
    """The console's terminals."""

    pods: Pods
    idle: float = IDLE
    most: int = MOST
    places: dict[_Key, Place] = field(default_factory=dict)
    _open: int = 0

    @property
    def full(self) -> bool:
        """Whether no more can be opened now."""
        return self._open >= self.most

    def current(self, found: Class, student: Account) -> Session | None:
        """The connection of a student's terminal that is open now."""
        place = self.places.get((found.name, student.key))
        return None if place is None else place.current

    async def serve(
        self, socket: WebSocket, found: Class, student: Account, size: Size, *, may: Callable[[], bool], tr: Translate
    ) -> End:
        """A connection, until it ends. Another one of the same student is told, and ends first."""
        place = self.places.setdefault((found.name, student.key), Place(found, student))
        place.found, place.student = found, student
        session = Session(socket, place, self.pods, size, may, tr, self.idle)
        before, place.current = place.current, session
        self._open += 1
        try:
            if before is not None:
                await before.stop(End.TAKEN)
            place.used = time.monotonic()
            end = await session.run()
        finally:
            self._open -= 1
            if place.current is session:
                place.current = None
        if end in (End.IDLE, End.OUT):
            await self._remove(place)
        return end

    async def stop(self) -> None:
        """Tell all connections that the console ends; shells go on in their pods."""
        open_now = [place.current for place in self.places.values() if place.current is not None]
        await asyncio.gather(*(session.stop(End.STOPPING) for session in open_now))

    async def end_idle(self, classes: dict[str, Class]) -> None:
        """Delete the pods that nobody used for long, or whose students are kept out, and forget those."""
        for key, place in list(self.places.items()):
            found = classes.get(place.found.name)
            student = None if found is None else next((one for one in found.students if one.key == key[1]), None)
            out = found is None or student is None or student.suspended or not found.has_terminals
            out = out or (found is not None and found.expires <= record.now())
            out = out or (student is not None and student.credential != place.student.credential)
            if place.current is None and (out or time.monotonic() - place.used > self.idle):
                await self._remove(place)

    async def _remove(self, place: Place) -> None:
        try:
            await self.pods.remove(place.found, place.student)
        except NodiskError:
            return  # the next sweep tries again
        if place.current is None:
            self.places.pop((place.found.name, place.student.key), None)

    async def sweep(self, context: LabContext) -> None:
        """Find the pods in the cluster that nobody here knows, and end those that are not used. Never raises."""
        try:
            classes = {one.name: one for one in await asyncio.to_thread(record.load_all, context.state)}
            if not self.places and not any(one.has_terminals for one in classes.values()):
                return
            owners = {one.namespace(student): (one, student) for one in classes.values() for student in one.students}
            for space in await asyncio.to_thread(_there, context):
                if space in owners:
                    found, student = owners[space]
                    self.places.setdefault((found.name, student.key), Place(found, student))
            await self.end_idle(classes)
        except (NodiskError, OSError):
            return

    async def keep_swept(self, context: LabContext) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            await self.sweep(context)


def _there(context: LabContext) -> list[str]:
    """The namespaces in which there are terminals' pods. What else they say of themselves is their students' to say."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        pods = client.list("v1", "Pod", labels=f"{terminal.LABEL}={terminal.LABELS[terminal.LABEL]}")
    return [str(pod["metadata"]["namespace"]) for pod in pods if pod["metadata"]["name"] == terminal.NAME]
