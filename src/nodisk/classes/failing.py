"""What fails in a class's namespaces now, asked of the API: for ``nodisk class show``."""

from __future__ import annotations

from datetime import UTC, datetime

from nodisk.classes.record import Class
from nodisk.classes.trouble import Trouble
from nodisk.classes.troubles import troubles
from nodisk.kube.client import Client


def find(client: Client, found: Class, *, now: datetime | None = None) -> tuple[Trouble, ...]:
    """All that fails for a class's students; two requests, however many they are. Raises ApiError."""
    own = {found.namespace(student) for student in found.students}
    pods = [one for one in client.list("v1", "Pod") if one["metadata"].get("namespace") in own]
    warnings = client.list("v1", "Event", fields="type=Warning")
    events = [one for one in warnings if one["metadata"].get("namespace") in own]
    return troubles(pods, events, now=now or datetime.now(UTC))
