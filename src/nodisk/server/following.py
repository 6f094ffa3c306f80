"""Following kinds of the cluster's objects, for what the server keeps as they are: names, network policies.

A thread for each kind follows its changes; what is made of them waits for ``dirty``. Nothing is to be made before each
kind has been listed once; and of what a watch told before a gap, what the next one doesn't list is gone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.watch import Change, Watch, WatchEvent
from nodisk.state import LabState

log = logging.getLogger("nodisk.server")

SETTLE = 0.02
"""Seconds in which changes that come together are taken together."""
AGAIN = 2.0
"""Seconds until a watch that failed is begun again."""
Key = tuple[str, str]
"""An object's namespace ("" without one) and name."""


def key_of(obj: Object) -> Key:
    """An object's key."""
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


@dataclass(slots=True)
class Following:
    """What follows the API, from ``run`` until ``stop``."""

    what: str
    """What is kept, for the log."""
    state: LabState
    connect: Callable[[LabState], Client]
    told: Callable[[str], None]
    """Gets what is to be recorded, in the event loop's thread, which alone may use the server's records."""
    stopping: threading.Event = field(default_factory=threading.Event)
    dirty: threading.Event = field(default_factory=threading.Event)
    """Something has changed, or it is time to stop."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Around whatever ``take`` changes."""
    listed: set[str] = field(default_factory=set)
    """Kinds that have been listed once."""
    _watches: dict[str, Watch] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = None

    async def run(self, follow: Sequence[Callable[[Client], None]], *work: Callable[[], None]) -> None:
        """Run each ``work`` once and each of ``follow`` again and again, in threads, until ``stop``."""
        self._loop = loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(len(follow) + len(work))
        try:
            followers = [loop.run_in_executor(pool, self._keep, one) for one in follow]
            await asyncio.gather(*followers, *(loop.run_in_executor(pool, one) for one in work))
        finally:
            self.stop()
            pool.shutdown(wait=False)

    def stop(self) -> None:
        """End the threads soon."""
        self.stopping.set()
        self.dirty.set()
        for watch in list(self._watches.values()):
            watch.close()

    def say(self, text: str) -> None:
        """Record a sentence, from any of the threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.told, text)

    def changes(
        self,
        client: Client,
        version: str,
        kind: str,
        known: Callable[[], set[Key]],
        take: Callable[[WatchEvent], bool],
    ) -> Iterator[WatchEvent]:
        """Give each change of a kind to ``take``, which says whether it matters, and yield it."""
        with self.lock:
            missing = known()

        def listed() -> None:
            with self.lock:
                for namespace, name in missing:
                    take(WatchEvent(Change.DELETED, {"metadata": {"namespace": namespace, "name": name}}))
            missing.clear()
            self.listed.add(kind)
            self.dirty.set()

        with Watch(client, version, kind, on_listed=listed) as watch:
            self._watches[kind] = watch
            if self.stopping.is_set():
                return
            for event in watch:
                missing.discard(key_of(event.object))
                with self.lock:
                    matters = take(event)
                if matters:
                    self.dirty.set()
                yield event

    def _keep(self, follow: Callable[[Client], None]) -> None:
        while not self.stopping.is_set():
            try:
                with self.connect(self.state) as client:
                    follow(client)
            except NodiskError as error:
                log.info("%s: %s", self.what, error.message)
            except Exception:
                log.exception("%s", self.what)
            self.stopping.wait(AGAIN)
