"""Classes that work while the suite runs: whose pods are there, is there room for both, and what could disturb them.

What the suite asks for, by a reading of 1.20's ``test/e2e``: nearly all of its pods request nothing, so that they need
a place on a node and no more. Of those that must run, the largest request 250m of a processor and 32Mi (what the
downward API shows), in ones and twos. Some specs make dozens of pods (30 replicas of a Deployment with three more on
the way; the garbage collector's count what the nodes hold, and make ten to a hundred, whether these run or not).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nodisk.classes.census import Amounts, census, words
from nodisk.classes.manifests import CLASS, MANAGED_BY
from nodisk.errors import EnvironmentProblem
from nodisk.kube import objects, quantity, spare
from nodisk.kube.client import Client, Object

NEED: Amounts = {"cpu": Fraction(1, 2), "memory": Fraction(128 << 20), "pods": Fraction(40)}
"""What one process of the suite asks for at most, if nothing is to wait."""
PLACES = 5
"""Places for pods that the specs of preemption fill on a node: four pods of theirs, and one to find the node."""
_NAMES = {"cpu": "cores", "memory": "memory", "pods": "places for pods"}
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who and what is there."""

    pods: Mapping[str, int]
    """Class → its pods that have not ended; classes without any are left out."""
    nodes: int
    """That take pods now."""
    there: Amounts
    """On those together."""
    asked: Amounts
    """By all pods on those."""

    @property
    def free(self) -> Amounts:
        """What nobody has asked for."""
        return {resource: self.there[resource] - self.asked[resource] for resource in spare.RESOURCES}

    def short(self, shards: int) -> list[str]:
        """Of what there is too little for so many processes."""
        return [_NAMES[one] for one in spare.RESOURCES if self.free[one] < NEED[one] * shards]

    def lines(self, shards: int) -> list[str]:
        """What a person should know before so many processes run beside them; nothing where nobody is there."""
        found = []
        if self.pods:
            told = ", ".join(f"{name} ({count})" for name, count in sorted(self.pods.items()))
            found.append(f"classes with pods now: {told}; they go on, and the suite has namespaces of its own")
        short = self.short(shards)
        if self.pods or short:
            need = words({resource: amount * shards for resource, amount in NEED.items()})
            found.append(f"free on {self.nodes} nodes: {words(self.free)}; the suite asks for up to {need} at once")
        if short:
            found.append(f"warning: too little is free: {', '.join(short)}; specs may fail, and new pods may wait")
        if self.pods:
            found.append(
                "while serial specs run at the end, new pods may wait: one takes 70% of every node's free cores for "
                "seconds, and two keep new pods off a node for half a minute"
            )
        return found


def weigh(namespaces: Iterable[Object], pods: Iterable[Object], nodes: Sequence[Object]) -> Neighbours:
    """Add up; ``namespaces``: those of classes. Pure; raises ValueError for a bad quantity."""
    listed = list(pods)
    whose = {one["metadata"]["name"]: one["metadata"]["labels"][CLASS] for one in namespaces}
    theirs = Counter(
        whose[pod["metadata"]["namespace"]] for pod in listed if pod["metadata"]["namespace"] in whose and _runs(pod)
    )
    found = census(nodes, listed, (), "")
    usable = sum(1 for node in found.nodes if node.open and node.ready == "True")
    return Neighbours(dict(theirs), usable, found.there, found.asked)


def look(client: Client) -> Neighbours:
    """Who is there now. Raises EnvironmentProblem where no node takes pods: there the suite would only wait."""
    namespaces = client.list("v1", "Namespace", labels=f"{MANAGED_BY}=nodisk,{CLASS}", metadata_only=True)
    nodes = client.list("v1", "Node")
    found = weigh(namespaces, client.list("v1", "Pod"), nodes)
    if not found.nodes:
        raise EnvironmentProblem(
            "no node takes pods now, and without one the suite begins no spec", hint="nodisk status says why"
        )
    return found


def full(pods: Iterable[Object], nodes: Iterable[Object]) -> list[str]:
    """The nodes on which a pod of higher priority would push others aside, since they have no place left. Pure."""
    on = Counter((pod.get("spec") or {}).get("nodeName") for pod in pods if _runs(pod))
    found = []
    for node in nodes:
        name, given = node["metadata"]["name"], (node.get("status") or {}).get("allocatable") or {}
        if not objects.closing_taints(node) and quantity.parse(given.get("pods", "0")) - on[name] < PLACES:
            found.append(name)
    return found


def _runs(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in _ENDED
