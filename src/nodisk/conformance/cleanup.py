"""Removing from a cluster what the suite left in it, however it ended.

What was there before is written into the state before the first spec, and stays there until all that the suite made is
gone: so the next start of the command finds it if this one is killed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nodisk import files
from nodisk.conformance import traces
from nodisk.conformance.traces import Before, Found, Mark
from nodisk.errors import IntegrityError, TimedOut
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import Conflict, NotFound
from nodisk.kube.objects import going
from nodisk.waiting import Deadline

NAME = "before.json"
"""In the lab's folder of all runs: what was there before the suite began."""
REMOVAL = 300.0
"""Seconds within which all of it must be gone."""
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps a cluster as it was before a run."""

    client: Client
    path: Path
    """Where what was there is written; there while a run goes on, or after one that was killed."""
    say: Callable[[str], None] = lambda _: None
    limit: float = REMOVAL

    def tidy(self) -> None:
        """Remove what a killed run left, if one was. Raises TimedOut, IntegrityError."""
        if self.path.exists():
            sweep(self.client, self._known(), limit=self.limit, say=self.say)

    def begin(self) -> None:
        """Remove what a killed run left, and remember what is there now. Raises TimedOut, IntegrityError."""
        sweep(self.client, self._known(), limit=self.limit, say=self.say)
        before = traces.remember(self._cluster(), _objects(self.client), self.client.list("v1", "Node"))
        files.write(self.path, json.dumps(before.to_json(), indent=1) + "\n")

    def end(self) -> None:
        """Remove what this run left. Raises TimedOut; then, too, the next run goes on with it."""
        sweep(self.client, self._known(), limit=self.limit, say=self.say)
        self.path.unlink(missing_ok=True)

    def _cluster(self) -> str:
        return str(self.client.get("v1", "Namespace", traces.SYSTEM)["metadata"]["uid"])

    def _known(self) -> Before | None:
        try:
            before = traces.from_json(json.loads(self.path.read_bytes()))
            return before if before.cluster == self._cluster() else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, IntegrityError) as error:
            raise IntegrityError(
                f"{self.path} is damaged: {error}",
                hint="delete it; then only what refers to a namespace of the suite is removed",
            ) from error


def leftovers(client: Client) -> list[Object]:
    """The suite's namespaces that are still there."""
    return [one for one in client.list("v1", "Namespace", metadata_only=True) if traces.is_space(one)]


def sweep(
    client: Client, before: Before | None, *, limit: float = REMOVAL, say: Callable[[str], None] = lambda _: None
) -> Found:
    """Delete what is the suite's for certain, wait until it is gone, and say what else appeared since ``before``.

    Objects outside its namespaces go first: a webhook or an APIService whose pods are gone would hold the namespaces.
    Returns what it found at first. Raises TimedOut with the names of what is still there after ``limit`` seconds.
    """
    deadline = Deadline(limit)
    spaces = leftovers(client)
    names = {one["metadata"]["name"] for one in spaces}
    first = found = _look(client, before, names)
    asked: set[str] = set()
    while found.ours or found.marks:
        for thing in found.ours:
            if thing.uid not in asked:
                say(f"removing {thing}")
                client.delete(thing.api_version, thing.kind, thing.name, namespace=thing.namespace, uid=thing.uid)
                asked.add(thing.uid)
        _unmark(client, found.marks, say)
        found = _look(client, before, names)
        if (found.ours or found.marks) and not deadline.pause(0.5):
            raise TimedOut(
                f"the conformance suite's own are still there after {limit:g} s: "
                + ", ".join(map(str, (*found.ours, *found.marks))),
                hint="nodisk kubectl get KIND NAME -o yaml says what holds them",
            )
    _remove_spaces(client, spaces, deadline, limit, say)
    for other in found.others:
        say(f"appeared meanwhile, and may be somebody else's: {other}; to remove it: {other.removal}")
    return first


def _remove_spaces(
    client: Client, first: list[Object], deadline: Deadline, limit: float, say: Callable[[str], None]
) -> None:
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
                hint="nodisk kubectl get namespace NAME -o yaml says what holds it",
            )


def _objects(client: Client) -> list[Object]:
    """All objects of the kinds that specs make outside their namespaces, as far as this release has them."""
    found = []
    for api_version, kind in traces.KINDS:
        if client.supports(api_version, kind):
            found += client.list(api_version, kind)
    for api_version, kind in traces.IN_SYSTEM:
        found += client.list(api_version, kind, namespace=traces.SYSTEM)
    return found


def _look(client: Client, before: Before | None, spaces: set[str]) -> Found:
    return traces.judge(before, spaces, _objects(client), client.list("v1", "Node"))


def _unmark(client: Client, marks: Iterable[Mark], say: Callable[[str], None]) -> None:
    """Take these off their nodes; what somebody else changes at the same moment is tried again by the caller."""
    listed = list(marks)
    for mark in listed:
        say(f"removing {mark}")
    for name in {mark.node for mark in listed}:
        own = [mark for mark in listed if mark.node == name]
        with contextlib.suppress(NotFound, Conflict):
            if any(mark.what != "resource" for mark in own):
                node = client.get("v1", "Node", name)
                labels = {mark.key: None for mark in own if mark.what == "label"}
                # A list is replaced as a whole, so it must be the one that was read.
                meta = {"labels": labels, "resourceVersion": node["metadata"]["resourceVersion"]}
                taints = traces.taints_without(node, own)
                client.patch("v1", "Node", name, {"metadata": meta, "spec": {"taints": taints or None}})
            if gone := {mark.key: None for mark in own if mark.what == "resource"}:
                path = client.path("v1", "Node", name, subresource="status")
                status = {"capacity": gone, "allocatable": gone}
                client.request("PATCH", path, body={"status": status}, content_type=_MERGE, idempotent=True)
