"""Set up a scene for one run, and clean up after it, including what killed runs left."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nodisk import files
from nodisk.context import LabContext
from nodisk.errors import TimedOut
from nodisk.kube.client import Client, Object, connect
from nodisk.kube.objects import going
from nodisk.kube.patience import COMMAND
from nodisk.state import LabState
from nodisk.verify import manifests, temporary_class
from nodisk.verify.scene import Scene, least_pace, measure_pace, uncordon
from nodisk.waiting import Deadline

REMOVAL = 90.0
"""Seconds, times the pace, within which a namespace must be gone."""


@contextmanager
def staged(
    context: LabContext,
    purpose: str,
    *,
    keep: bool = False,
    privileged: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Scene]:
    """A scene with its namespace, the only one on this lab; what it created, and what killed runs left, is removed.

    ``purpose`` is ``verify`` or ``bench``. Raises Busy if either runs already, ApiError without an API.
    """
    run_id = time.strftime("%m%d%H%M") + secrets.token_hex(2)
    with (
        files.lock(context.state.measuring, "this cluster"),
        connect(context, patience=COMMAND, say=say) as client,
    ):
        pace = max(measure_pace(client), least_pace(context))
        for line in remove_leftovers(client, context.state, limit=REMOVAL * pace):
            say(line)
        scene = Scene(context, client, run_id, f"nodisk-{purpose}-{run_id}", pace)
        try:
            # Inside: Ctrl-C may come when the namespace is made and the answer isn't here yet.
            client.create(manifests.namespace(scene.space, purpose, run_id, privileged=privileged))
            yield scene
        finally:
            if not keep:
                remove_leftovers(client, context.state, limit=REMOVAL * pace)


def leftovers(client: Client) -> list[Object]:
    """Everything that verify or bench created and that still exists, except temporary classes."""
    found: list[Object] = []
    kinds = [("v1", "Namespace"), ("scheduling.k8s.io/v1", "PriorityClass")]
    kinds += [("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")]
    for api_version, kind in kinds:
        found += client.list(api_version, kind, labels=manifests.LABEL)
    return found


def remove_leftovers(client: Client, state: LabState, *, limit: float = REMOVAL, wait: bool = False) -> list[str]:
    """Delete leftovers of earlier runs and uncordon nodes that they cordoned; report one line per item.

    ``wait``: until all is gone; raises TimedOut after ``limit`` seconds. Temporary classes are always waited for.
    """
    deadline = Deadline(limit)
    lines = temporary_class.remove_leftovers(client, state, limit=limit)
    for obj in leftovers(client):
        name, kind = obj["metadata"]["name"], obj["kind"]
        if not going(obj):
            client.delete(obj["apiVersion"], kind, name, uid=obj["metadata"]["uid"])
            lines.append(f"removing the {kind} {name} that an earlier run left")
    for node in client.list("v1", "Node"):
        if manifests.CORDONED in (node["metadata"].get("annotations") or {}):
            uncordon(client, node["metadata"]["name"])
            lines.append(f"uncordoned {node['metadata']['name']}, which an earlier run had cordoned")
    while wait and (there := [*leftovers(client), *temporary_class.leftovers(client)]):
        if not deadline.pause(0.5):
            left = ", ".join(f"{one['kind']} {one['metadata']['name']}" for one in there)
            raise TimedOut(f"still there: {left}", hint="nodisk kubectl get namespaces -l nodisk/temporary -o yaml")
    return lines
