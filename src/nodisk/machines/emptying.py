"""Emptying machines' nodes for as long as somebody wants that, and opening them again: ``nodisk machines drain``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodisk.kube import drain
from nodisk.kube.client import Client
from nodisk.machines.buttons.button import Outcome

NO_NODE = "the cluster has no node of that name"
OTHERS = "somebody else closed it: nodisk kubectl uncordon {name}"


@dataclass(frozen=True, slots=True)
class Emptied:
    """What came of it for one machine."""

    name: str
    outcome: Outcome
    detail: str

    def to_json(self) -> dict[str, str]:
        """The stable form of ``nodisk machines drain --output json``."""
        return {"name": self.name, "outcome": str(self.outcome), "detail": self.detail}


def empty(
    client: Client, names: Sequence[str], within: float, *, stop: Callable[[], None] = lambda: None
) -> list[Emptied]:
    """Close the nodes and evict their pods; they stay closed, whatever comes of it, until ``back``.

    ``stop`` may raise, to end the waiting.
    """
    there = [name for name in names if drain.cordon(client, name, mark=drain.CLOSED)]
    drain.evict(client, there, within, stop=stop)
    left = drain.evictable(client, there)

    def came(name: str) -> Emptied:
        if name not in there:
            return Emptied(name, Outcome.UNKNOWN, NO_NODE)
        if stay := left.get(name):
            return Emptied(name, Outcome.ASKED, f"closed, and still there after {within:g} s: {', '.join(stay)}")
        return Emptied(name, Outcome.CONFIRMED, "closed to new pods, and no pod is left that can go")

    return [came(name) for name in names]


def back(client: Client, names: Sequence[str]) -> list[Emptied]:
    """Let pods onto the nodes again."""
    for mark in (drain.CLOSED, drain.MARK):
        drain.reopen(client, names, mark=mark)
    shut = {node["metadata"]["name"]: drain.is_closed(node) for node in client.list("v1", "Node")}

    def came(name: str) -> Emptied:
        if name not in shut:
            return Emptied(name, Outcome.UNKNOWN, NO_NODE)
        if shut[name]:
            return Emptied(name, Outcome.UNKNOWN, OTHERS.format(name=name))
        return Emptied(name, Outcome.CONFIRMED, "open to new pods")

    return [came(name) for name in names]
