"""Removing from a cluster what the suite left in it: a killed run leaves its namespaces, and nodes that it marked."""

from __future__ import annotations

from collections.abc import Callable

from nodisk.errors import TimedOut
from nodisk.kube.client import Client, Object
from nodisk.kube.objects import going
from nodisk.waiting import Deadline

LABEL = "e2e-run"
"""Every namespace that the suite makes has it; its value is a process' own id."""
REMOVAL = 300.0
"""Seconds, times the stretch, within which all of it must be gone."""


def leftovers(client: Client) -> list[Object]:
    """The suite's namespaces that are still there."""
    return client.list("v1", "Namespace", labels=LABEL, metadata_only=True)


def remove(client: Client, *, limit: float = REMOVAL, say: Callable[[str], None] = lambda _: None) -> int:
    """Delete the suite's namespaces, with all in them, and wait until they are gone; returns how many there were.

    Raises TimedOut with their names after ``limit`` seconds.
    """
    deadline = Deadline(limit)
    first = leftovers(client)
    for space in first:
        name = space["metadata"]["name"]
        if not going(space):
            say(f"removing the namespace {name}")
            client.delete("v1", "Namespace", name, uid=space["metadata"]["uid"])
    while first and (there := leftovers(client)):
        if not deadline.pause(0.5):
            names = ", ".join(sorted(space["metadata"]["name"] for space in there))
            raise TimedOut(
                f"namespaces of the conformance suite are still there after {limit:g} s: {names}",
                hint=f"nodisk kubectl get namespaces -l {LABEL} -o yaml says what holds them",
            )
    return len(first)
