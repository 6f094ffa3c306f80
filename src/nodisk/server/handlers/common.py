"""What every handler needs: who asks, the desk it works at, and limits on what may come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from nodisk.pki.authority import Authority
from nodisk.server.database import Database
from nodisk.server.events import Kind
from nodisk.server.texts import Texts
from nodisk.spec.model import Machine
from nodisk.values import Mac


@dataclass(slots=True)
class RateLimit:
    """A token bucket a source: ``burst`` at once, then ``per_second``. Bounded in memory."""

    burst: float = 30
    per_second: float = 1
    sources: int = 4096
    now: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, source: str) -> bool:
        """Whether this source may do one more thing now; counts it if so."""
        now = self.now()
        if len(self._buckets) >= self.sources and source not in self._buckets:
            # The one seen longest ago has the fullest bucket: forgetting it gives away the least.
            self._buckets.pop(next(iter(self._buckets)))
        tokens, at = self._buckets.pop(source, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        self._buckets[source] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


@dataclass(slots=True)
class Desk:
    """What the handlers work with; the server puts new texts on it when lab.yaml is read again."""

    texts: Texts
    authority: Authority
    database: Database
    limit: RateLimit = field(default_factory=RateLimit)

    def machine(self, mac: Mac) -> Machine | None:
        """The lab's machine of that MAC."""
        return self.texts.lab.by_mac(mac)

    def note(self, kind: Kind, detail: str, *, request: Request, mac: Mac | None = None) -> None:
        """Record something about a request, unless its source has said too much already."""
        source = source_of(request)
        if self.limit.allows(source):
            machine = self.machine(mac) if mac else None
            self.database.record(kind, detail, source=source, mac=mac, machine=str(machine.name) if machine else None)


class Problem(Exception):
    """Ends a request with a status and one line of text."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def problem_response(_: Request, error: Exception) -> Response:
    """Starlette's handler for Problem."""
    if isinstance(error, Problem):
        return PlainTextResponse(f"{error.reason}\n", error.status)
    return PlainTextResponse("internal error\n", 500)


def desk_of(request: Request) -> Desk:
    """The desk of the application."""
    desk: Desk = request.app.state.desk
    return desk


def address_of(request: Request) -> IPv4Address | None:
    """Where the request came from, as nginx says; None if not from an IPv4 address (this host, by unix socket)."""
    try:
        return IPv4Address(request.headers.get("x-real-ip", ""))
    except AddressValueError:
        return None


def source_of(request: Request) -> str:
    """The same as text, for records."""
    address = address_of(request)
    return "this host" if address is None else str(address)


def mac_of(text: str) -> Mac:
    """A MAC from a URL, a form or a header; Problem 400 if it is none."""
    try:
        return Mac.parse(text[:64])
    except ValueError as error:
        raise Problem(400, "not a MAC address") from error


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body; Problem 413 if it is longer than ``limit`` bytes."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Problem(413, f"at most {limit} bytes")
    except ClientDisconnect as error:
        raise Problem(400, "the request ended early") from error
    return body
