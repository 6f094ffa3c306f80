"""What students have: quota used, what runs, what fails, where it answers; and a key of their own for some hours."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nodisk.classes import handouts, record
from nodisk.classes.manifests import QUOTA
from nodisk.classes.record import Account, Class
from nodisk.classes.trouble import Trouble
from nodisk.classes.troubles import troubles
from nodisk.context import LabContext
from nodisk.errors import NodiskError
from nodisk.kube import kubeconfig, objects
from nodisk.kube.client import Client, Object, connect

WITHIN = 4.0
"""Seconds for the API, where somebody waits for a page."""
FRESH = 0.7
"""Seconds for which an answer is good enough for all pages; with the second between a page's looks, less than two."""
PAUSE = 3.0
"""Before the API is asked again, so many times as long as it took: a slow one is not kept busy by pages."""
KEY = 12 * 3600
"""Seconds for which a key of the door is good."""
SHELL_KEY = 3600
"""Seconds for which one in a terminal's pod is; it is renewed while the terminal is open."""
SHORTEST_KEY = 600
"""The API server makes none that is shorter."""
RESOURCES = {
    "requests.cpu": "CPU (requests)",
    "limits.cpu": "CPU (limits)",
    "requests.memory": "Memory",
    "pods": "Pods",
    "services.nodeports": "NodePorts",
    "persistentvolumeclaims": "Claims",
    "requests.storage": "Storage",
}
"""Of a quota, those that are shown."""


@dataclass(frozen=True, slots=True)
class Used:
    """One line of the quota."""

    what: str
    used: str
    hard: str


@dataclass(frozen=True, slots=True)
class Running:
    """A pod."""

    name: str
    state: str
    """``Ready``, why a container waits, or the phase: as Kubernetes calls it."""
    restarts: int


@dataclass(frozen=True, slots=True)
class Link:
    """A port of a Service that answers at every machine."""

    service: str
    url: str


@dataclass(frozen=True, slots=True)
class Own:
    """What a student has."""

    quota: tuple[Used, ...]
    pods: tuple[Running, ...]
    links: tuple[Link, ...]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """What all students of a class have, for who teaches it."""

    troubles: tuple[Trouble, ...] = ()
    quotas: Mapping[str, tuple[Used, ...]] = field(default_factory=dict)
    """By student's key."""


def own(
    quota: Mapping[str, Any] | None,
    pods: Iterable[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    *,
    node: str,
    now: datetime,
) -> Own:
    """The same of objects of core/v1. Pure. ``node``: an address at which NodePorts answer."""
    pods = list(pods)
    there = sorted((running(pod) for pod in pods), key=lambda one: one.name)
    links = sorted((link for service in services for link in _links(service, node)), key=lambda one: one.url)
    return Own(_quota(quota or {}), tuple(there), tuple(links), troubles(pods, events, now=now))


@dataclass(frozen=True, slots=True)
class All:
    """What is in all namespaces: each maps a namespace to its objects."""

    quotas: Mapping[str, list[Object]]
    pods: Mapping[str, list[Object]]
    services: Mapping[str, list[Object]]
    warnings: Mapping[str, list[Object]]
    node: str
    now: datetime

    def own(self, found: Class, student: Account) -> Own:
        """A student's part."""
        space = found.namespace(student)
        pods, services = self.pods.get(space, []), self.services.get(space, [])
        quota = next(iter(self.quotas.get(space, [])), None)
        return own(quota, pods, services, self.warnings.get(space, []), node=self.node, now=self.now)

    def together(self, found: Class) -> Together:
        """The parts of all students of a class, without what only they look at."""
        spaces = {one.key: found.namespace(one) for one in found.students}
        pods, events = ([one for at in spaces.values() for one in of.get(at, [])] for of in (self.pods, self.warnings))
        quotas = {key: _quota(next(iter(self.quotas.get(at, [])), {})) for key, at in spaces.items()}
        return Together(troubles(pods, events, now=self.now), quotas)


def everyone(context: LabContext) -> All:
    """The cluster now, asked once for all students, within seconds. Raises NodiskError."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        return All(
            _by_namespace(client.list("v1", "ResourceQuota", fields=f"metadata.name={QUOTA}")),
            _by_namespace(client.list("v1", "Pod")),
            _by_namespace(client.list("v1", "Service")),
            _by_namespace(client.list("v1", "Event", fields="type=Warning")),
            handouts.example_node(context.lab),
            datetime.now(UTC),
        )


def _by_namespace(objects: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for one in objects:
        found.setdefault(one["metadata"]["namespace"], []).append(one)
    return found


@dataclass(slots=True)
class Shared:
    """Asks once for all pages of students and classes that are open, however many there are. For any thread."""

    ask: Callable[[LabContext], All] = everyone
    clock: Callable[[], float] = time.monotonic
    _all: All | NodiskError | None = None
    _until: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def own(self, context: LabContext, found: Class, student: Account) -> Own:
        """What a student has, at most FRESH seconds old, or as much older as the API is slow. Raises NodiskError."""
        return self._now(context).own(found, student)

    def together(self, context: LabContext, found: Class) -> Together:
        """What a class's students have, as fresh as that, out of the same answer. Raises NodiskError."""
        return self._now(context).together(found)

    def _now(self, context: LabContext) -> All:
        with self._lock:
            if self.clock() >= self._until:
                began = self.clock()
                try:
                    self._all = self.ask(context)
                except NodiskError as error:
                    self._all = error
                self._until = self.clock() + max(FRESH, PAUSE * (self.clock() - began))
            now = self._all
        if now is None or isinstance(now, NodiskError):
            raise now or NodiskError("nobody was asked")
        return now


def life(found: Class, most: int) -> int:
    """Seconds for which a token of a class's student is made now: ``most``, but not for long after the class."""
    return max(SHORTEST_KEY, min(most, math.ceil((found.expires - record.now()).total_seconds())))


def token(context: LabContext, found: Class, student: Account, most: int = KEY) -> str:
    """A new token of the student's account, good for ``most`` seconds (``life``). Raises NodiskError.

    It is bound to the same Secret as the token that was handed out: rotating ends both.
    """
    with connect(context, patience=0.0, within=WITHIN) as client:
        return minted(client, found, student, most)[0]


def minted(client: Client, found: Class, account: Account, most: int) -> tuple[str, str]:
    """The same of a student or a teacher, with the token's end as the API server set it (RFC 3339)."""
    secret = client.get("v1", "Secret", f"{account.service_account}-token", namespace=found.identities)
    return client.token(found.identities, account.service_account, seconds=life(found, most), bound_to=secret)


def key(context: LabContext, found: Class, student: Account) -> str:
    """A kubeconfig with such a token. Raises NodiskError."""
    new = token(context, found, student)
    admin = kubeconfig.load(context.state.admin_kubeconfig)
    return handouts.config(context, admin, found, student, token=new)


def _quota(quota: Mapping[str, Any]) -> tuple[Used, ...]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return tuple(Used(word, str(used.get(key, "0")), str(hard[key])) for key, word in RESOURCES.items() if key in hard)


def running(pod: Mapping[str, Any]) -> Running:
    """A pod of core/v1 as it is shown. Pure."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    waits = [str((one.get("state") or {}).get("waiting", {}).get("reason", "")) for one in containers]
    state = next(filter(None, waits), str(status.get("phase", "Unknown")))
    if pod["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    elif objects.is_ready(pod):
        state = "Ready"
    return Running(pod["metadata"]["name"], state, sum(int(one.get("restartCount", 0)) for one in containers))


def _links(service: Mapping[str, Any], node: str) -> Iterable[Link]:
    for port in (service.get("spec") or {}).get("ports") or []:
        if port.get("nodePort") and port.get("protocol", "TCP") == "TCP":
            yield Link(service["metadata"]["name"], f"http://{node}:{int(port['nodePort'])}/")
