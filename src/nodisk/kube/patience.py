"""How long to wait for an API server that is away, busy or still starting, and whom to tell.

One policy for every command: a command says how patient it is when it connects (``connect(context, patience=…)``), and
the transport does the rest. Patience is counted from the first failure, and all requests of a client share it: once the
API has been away for that long, the next request doesn't wait as long again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodisk.kube.errors import ApiError

log = logging.getLogger("nodisk.kube")

Say = Callable[[str], None]

COMMAND = 180.0
"""Seconds for commands that change the cluster: an API server that is restarted on a busy host needs minutes."""
LOOK = 30.0
"""Seconds for anything that doesn't specify its patience."""
QUIET = 3.0
"""Seconds before anything is reported: a short pause of the API server is normal."""
AGAIN = 30.0
"""Seconds between two lines about the same trouble."""


def unheard(_: str) -> None:
    """For callers with no user who waits."""


@dataclass(slots=True)
class Outage:
    """What all requests of one client know about an API server that doesn't answer."""

    say: Say = unheard
    _since: float | None = None
    _said: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def failed(self, began: float | None) -> float:
        """Note a failure of a request that first failed at ``began``; since when to count (monotonic seconds)."""
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            return min(self._since, now if began is None else began)

    def answered(self) -> None:
        """Note that the API server answered, even with a refusal."""
        with self._lock:
            said, self._since, self._said = self._said, None, None
        if said is not None:
            self.say("the API is back")

    def waiting(self, what: str, since: float, until: float) -> None:
        """Tell the user what the client is waiting for, once that takes noticeably long."""
        now = time.monotonic()
        log.info("%s; retrying", what)
        with self._lock:
            if now - since < QUIET or (self._said is not None and now - self._said < AGAIN):
                return
            self._said = now
        self.say(f"{what}; retrying for up to {max(1, round(until - now))} s")


def passing(error: ApiError) -> bool:
    """Whether a refusal is temporary (a young cluster, or two writers that collided), so that a retry may pass.

    The controllers create each namespace's default ServiceAccount and count each quota seconds after its creation.
    """
    if error.status == 403:
        return "error looking up service account" in error.message or "status unknown for quota" in error.message
    # The admission of two pods of one namespace wrote the quota's count at the same moment.
    return error.status == 409 and error.reason == "Conflict" and error.details.get("kind") == "resourcequotas"
