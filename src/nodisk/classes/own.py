"""What a student has: quota used, what runs, what fails, where it answers; and a key of their own for some hours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodisk.classes import handouts, record
from nodisk.classes.manifests import QUOTA
from nodisk.classes.record import Account, Class
from nodisk.classes.trouble import Trouble
from nodisk.classes.troubles import troubles
from nodisk.context import LabContext
from nodisk.kube import kubeconfig, objects
from nodisk.kube.client import connect
from nodisk.kube.errors import NotFound

WITHIN = 4.0
"""Seconds for the API, where somebody waits for a page."""
KEY = 12 * 3600
"""Seconds for which a key of the door is good."""
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
    running = sorted((_running(pod) for pod in pods), key=lambda one: one.name)
    links = sorted((link for service in services for link in _links(service, node)), key=lambda one: one.url)
    return Own(_quota(quota or {}), tuple(running), tuple(links), troubles(pods, events, now=now))


def ask(context: LabContext, found: Class, student: Account) -> Own:
    """The same of the cluster now, in the student's namespace alone, within seconds. Raises NodiskError."""
    space = found.namespace(student)
    with connect(context, patience=0.0, within=WITHIN) as client:
        try:
            quota = client.get("v1", "ResourceQuota", QUOTA, namespace=space)
        except NotFound:
            quota = None
        return own(
            quota,
            client.list("v1", "Pod", namespace=space),
            client.list("v1", "Service", namespace=space),
            client.list("v1", "Event", namespace=space, fields="type=Warning"),
            node=handouts.example_node(context.lab),
            now=datetime.now(UTC),
        )


def token(context: LabContext, found: Class, student: Account) -> str:
    """A new token of the student's account, good for hours. Raises NodiskError.

    It is bound to the same Secret as the token that was handed out: rotating ends both.
    """
    left = (found.expires - record.now()).total_seconds()
    seconds = max(SHORTEST_KEY, min(KEY, math.ceil(left)))
    with connect(context, patience=0.0, within=WITHIN) as client:
        secret = client.get("v1", "Secret", f"{student.service_account}-token", namespace=found.identities)
        return client.token(found.identities, student.service_account, seconds=seconds, bound_to=secret)[0]


def key(context: LabContext, found: Class, student: Account) -> str:
    """A kubeconfig with such a token. Raises NodiskError."""
    new = token(context, found, student)
    admin = kubeconfig.load(context.state.admin_kubeconfig)
    return handouts.config(context, admin, found, student, token=new)


def _quota(quota: Mapping[str, Any]) -> tuple[Used, ...]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return tuple(Used(word, str(used.get(key, "0")), str(hard[key])) for key, word in RESOURCES.items() if key in hard)


def _running(pod: Mapping[str, Any]) -> Running:
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
