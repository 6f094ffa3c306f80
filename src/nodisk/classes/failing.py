"""What fails in a class's namespaces now, asked of the API: for ``nodisk class show`` and the console."""

from __future__ import annotations

from datetime import UTC, datetime

from nodisk.classes.record import Class
from nodisk.classes.trouble import Trouble
from nodisk.classes.troubles import troubles
from nodisk.context import LabContext
from nodisk.kube.client import Client, connect

WITHIN = 4.0
"""Seconds for the API, where somebody waits for a page."""


def find(client: Client, found: Class, *, now: datetime | None = None) -> tuple[Trouble, ...]:
    """All that fails for a class's students; two requests, however many they are. Raises ApiError."""
    own = {found.namespace(student) for student in found.students}
    pods = [one for one in client.list("v1", "Pod") if one["metadata"].get("namespace") in own]
    warnings = client.list("v1", "Event", fields="type=Warning")
    events = [one for one in warnings if one["metadata"].get("namespace") in own]
    return troubles(pods, events, now=now or datetime.now(UTC))


def ask(context: LabContext, found: Class) -> tuple[Trouble, ...]:
    """The same by a connection of its own, within seconds. Raises ApiError, EnvironmentProblem."""
    with connect(context, patience=0.0, within=WITHIN) as client:
        return find(client, found)
