"""Whether students' pods are kept apart, judged by what two students' pods experience."""

from __future__ import annotations

from nodisk.assets import built
from nodisk.classes import capacity, reach
from nodisk.classes.capacity import Enforcer
from nodisk.classes.selftest import Finding
from nodisk.records import isolation
from nodisk.verify.checks.rights import students_of
from nodisk.verify.core import Failed, Skip, Warn
from nodisk.verify.scene import Scene
from nodisk.verify.temporary_class import temporary_class


def apart(scene: Scene) -> list[str]:
    """A temporary student's pod tries to reach another's, whose namespaces have the policies of every class."""
    if not capacity.ready_nodes(scene.client):
        raise Skip("no node is ready to run pods")
    by = capacity.enforcer(scene.client, scene.context.lab)
    with temporary_class(scene, 2, mark="i") as applied:
        first, second = students_of(scene, applied)
        spaces = (applied.record.namespace(first.account), applied.record.namespace(second.account))
        tried = reach.attempt(first, second, spaces, enforcer=by, deadline=scene.clock)
        found = reach.settled(tried, by)
    of = built.cluster(scene.context.state.state, scene.context.lab)
    isolation.save(scene.context.state, isolation.Tried(found.verdict, found.happened), of=of)
    return judged(found, by)


def judged(found: Finding, by: Enforcer | None) -> list[str]:
    """The evidence of an attempt (``reach.settled``); raises Failed, or Warn where nothing enforces policies."""
    happened = f"{found.who} tries to {found.tried}: {found.happened}"
    if found.verdict == "ok":
        return [happened, f"enforced by {by}"]
    if found.verdict == "unsure":
        raise Warn(
            happened,
            cause="students' pods were kept apart by something that nodisk does not know, or by chance",
            look="nodisk kubectl get daemonsets -A",
        )
    if found.verdict == "gap":
        raise Warn(
            happened,
            cause="students' pods can reach each other: this pod network enforces no NetworkPolicy by itself",
            look="nodisk kubectl get daemonsets -A",
        )
    if found.verdict == "untried" or by is None:
        raise Failed(happened, look="nodisk kubectl get events -A --sort-by=.lastTimestamp")
    if by.missing:
        raise Failed(happened, cause=by.missing, look=f"nodisk kubectl -n {by.namespace} get pods -o wide")
    raise Failed(
        happened,
        cause=f"{by.name} is there and does not keep students' pods apart: it may not reach the API from its nodes",
        look=f"nodisk kubectl -n {by.namespace} logs daemonset/{by.name} --tail=20",
    )
