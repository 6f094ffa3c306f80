"""Delete namespaces within a time limit, whatever their pods ask for and whichever machines are off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from nodisk.errors import TimedOut
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import NotFound
from nodisk.kube.objects import conditions, going, holds
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.waiting import Deadline

GRACE = 5
"""Seconds that a pod has to end by itself: a student's own ``terminationGracePeriodSeconds`` may be a day."""

PATIENCE = 30.0
"""Seconds beyond that before a pod is taken out of the API although its machine hasn't said that it has ended."""

LOOK = 3.0
"""Seconds between two looks at the pods that are left."""

EMPTIED = "nodisk.dev/emptied"

OnGone = Callable[[], None]


def delete_namespaces(
    client: Client,
    spaces: Sequence[str],
    *,
    limit: float,
    on_gone: OnGone = lambda: None,
) -> None:
    """Delete namespaces and wait until none is left; ``on_gone`` is called for each, in no order.

    Raises TimedOut after ``limit`` seconds, with what holds up which namespace.
    """
    deadline = Deadline(limit)
    all_or_raise(in_parallel(lambda name: _begin(client, name), spaces))
    # At first all are: where an earlier try was given up the controller may be asleep already.
    waiting, inhabited, pause, look = set(spaces), set(spaces), 0.1, Deadline(LOOK)
    while True:
        present = {item["metadata"]["name"] for item in client.list("v1", "Namespace", metadata_only=True)}
        for _ in waiting - present:
            on_gone()
        waiting &= present
        if not waiting:
            return
        if deadline.passed:
            raise TimedOut(
                f"still there after {limit:g} s:\n"
                + "\n".join(f"  {name}: {held_by(client, name)}" for name in sorted(waiting)),
                hint="remove the listed finalizers, check nodisk status for stuck pods, then delete again",
            )
        if look.passed:
            pods = [pod for pod in client.list("v1", "Pod") if pod["metadata"]["namespace"] in waiting]
            _force(client, pods)
            emptied, inhabited = inhabited, {pod["metadata"]["namespace"] for pod in pods}
            all_or_raise(in_parallel(lambda name: _wake(client, name), (emptied - inhabited) & waiting))
            look.start(LOOK)
        deadline.pause(pause)
        pause = min(pause * 1.5, 1.0)


def _begin(client: Client, name: str) -> None:
    client.delete("v1", "Namespace", name)
    # The namespace controller deletes the pods too, seconds later and with the grace that they ask for. A pod that is
    # already going only lets its grace be shortened.
    client.delete_all("v1", "Pod", namespace=name, grace=GRACE)


def _force(client: Client, pods: Sequence[Object]) -> None:
    """Take pods out of the API whose machine is off, or had time enough.

    On a diskless machine that is off nothing of a pod is left; one that was only cut off ends the pod when it comes
    back and doesn't find it any more.
    """
    if not pods:
        return
    alive = {node["metadata"]["name"] for node in client.list("v1", "Node") if holds(node, "Ready")}

    def stuck(pod: Object) -> bool:
        if not going(pod):
            return False
        ends = datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]).timestamp()
        return pod["spec"].get("nodeName") not in alive or time.time() > ends + PATIENCE

    def end(pod: Object) -> None:
        meta = pod["metadata"]
        client.delete("v1", "Pod", meta["name"], namespace=meta["namespace"], grace=0, uid=meta["uid"])

    all_or_raise(in_parallel(end, filter(stuck, pods)))


def _wake(client: Client, name: str) -> None:
    """Have the namespace controller look again, now that the pods are gone.

    Unless the namespace changes, it sleeps for half the grace that a pod's spec asks for: half a day for one of a day.
    """
    with contextlib.suppress(NotFound):
        client.patch("v1", "Namespace", name, {"metadata": {"annotations": {EMPTIED: str(int(time.time()))}}})


def held_by(client: Client, name: str) -> str:
    """What keeps a namespace from going: the API server's own words, and the objects with their finalizers."""
    try:
        space = client.get("v1", "Namespace", name)
    except NotFound:
        return "gone just now"
    said = [
        one["message"] for one in conditions(space) if one["status"] == "True" and one["type"].startswith("Namespace")
    ]
    objects = [f"{kind} {meta['name']} ({', '.join(meta['finalizers'])})" for kind, meta in _finalized(client, name)]
    pods = [
        f"Pod {pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}"
        for pod in client.list("v1", "Pod", namespace=name)
    ]
    return "; ".join([*said, *objects[:10], *pods[:10]]) or "no reason given yet"


def _finalized(client: Client, name: str) -> list[tuple[str, Object]]:
    return [
        (resource.kind, item["metadata"])
        for api_version, resource in client.discovery.namespaced("list")
        for item in client.list(api_version, resource.kind, namespace=name, metadata_only=True)
        if item["metadata"].get("finalizers")
    ]
