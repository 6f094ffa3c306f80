"""What every handler needs: the requester's address, the shared state, and limits for bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from nodisk.pki.authority import Authority
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import Passing
from nodisk.server.class_registry import Rights
from nodisk.server.class_registry_disk import Fullness
from nodisk.server.class_registry_garbage import Changes
from nodisk.server.kubelets import Kubelets
from nodisk.server.layers import Layers
from nodisk.server.limits import Limits
from nodisk.server.metrics import Choice
from nodisk.server.rulesets import Rulesets
from nodisk.server.texts import Texts
from nodisk.spec.model import Machine
from nodisk.values import Mac


async def _nobody(_: IPv4Address) -> Mac | None:
    return None


async def _never(_: str) -> bool:
    return False


async def _no_size(_path: str, _query: str) -> int | None:
    return None


async def _none(_: Choice) -> set[tuple[str, str]]:
    return set()


@dataclass(slots=True)
class AppState:
    """Shared state of the HTTP handlers; the server replaces ``texts`` when it reloads lab.yaml."""

    texts: Texts
    authority: Authority
    database: Database
    limits: Limits = field(default_factory=Limits)
    passing: Passing = field(default_factory=Passing)
    rulesets: Rulesets = field(default_factory=Rulesets)
    """What nodes enforce of NetworkPolicies, where they have it from the server."""
    holder: Callable[[IPv4Address], Awaitable[Mac | None]] = _nobody
    """Which NIC has an address on the segment now; None: nobody answers."""
    ready: Callable[[str], Awaitable[bool]] = _never
    """Whether the API says that the node of a name is Ready; False too if it doesn't answer."""
    kubelets: Kubelets | None = None
    """What machines and pods use; None: the lab has no cluster."""
    chosen: Callable[[Choice], Awaitable[set[tuple[str, str]]]] = _none
    """Namespace and name of each object that the cluster has of a choice; raises ApiError."""
    layers: Layers | None = None
    """Who has which layer of container images; None: machines don't give any to each other."""
    size_of: Callable[[str, str], Awaitable[int | None]] = _no_size
    """Bytes of what is at a path and query of the registry; None: it gives nothing there."""
    class_rights: Rights | None = None
    """Who may do what in the class registry; None: the lab has none."""
    class_fullness: Fullness | None = None
    """Whether there is room in it."""
    class_changes: Changes = field(default_factory=Changes)
    """Who changes it, and when nobody may."""
    told: dict[Mac, float] = field(default_factory=dict)
    """When each machine that lab.yaml doesn't know last said which mainboard it has."""
    menu_password: Path | None = None
    """Where the hash of the menu's password is kept."""

    def machine(self, mac: Mac) -> Machine | None:
        """The lab's machine of that MAC."""
        return self.texts.lab.by_mac(mac)

    def alarm(self, sort: str, detail: str, *, request: Request, mac: Mac) -> None:
        """Record something that no honest machine does; ``sort`` is from a small fixed set, not the request."""
        machine = self.machine(mac)
        name = str(machine.name) if machine else None

        def record(text: str) -> int:
            return self.database.record(Kind.ALARM, text, source=source_of(request), mac=mac, machine=name)

        self.limits.alarms.tell(f"{name or 'unknown'} {sort}", detail, record, self.database.amend)


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


def app_state_of(request: Request) -> AppState:
    """The handlers' shared state."""
    app_state: AppState = request.app.state.app_state
    return app_state


def address_of(request: HTTPConnection) -> IPv4Address | None:
    """The request's source address, from nginx; None if it isn't an IPv4 address (this host, through a unix socket)."""
    return _address(request.headers.get("x-real-ip", ""))


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | None:
    """Kept: a handler asks for its request's several times, and a room has the same ones all day."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def source_of(request: HTTPConnection) -> str:
    """The source address as text, for records."""
    address = address_of(request)
    return "this host" if address is None else str(address)


def mac_of(text: str) -> Mac:
    """Parse a MAC from a URL, a form or a header; raises Problem 400 if it isn't one."""
    try:
        return Mac.parse(text[:64])
    except ValueError as error:
        raise Problem(400, "not a MAC address") from error


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body; raises Problem 413 if it is longer than ``limit`` bytes."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Problem(413, f"at most {limit} bytes")
    except ClientDisconnect as error:
        raise Problem(400, "the request ended early") from error
    return body
