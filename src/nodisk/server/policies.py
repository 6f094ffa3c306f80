"""NetworkPolicies where nodes enforce them by rules from the server: the API's changes → a table for each node.

Namespaces, pods and policies are followed; a thread compiles the tables and publishes them, another notes on the nodes
that they have theirs. Nothing is published before all three have been listed once: until then nodes keep what they
have, as they do while the server is away.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.watch import Change, WatchEvent
from nodisk.plan import containers, network
from nodisk.plan.policies import APPLIED, Cluster, pod_of, policy_of
from nodisk.plan.policy_rules import compile_nodes
from nodisk.server.following import SETTLE, Following, Key, key_of
from nodisk.server.nodes import api
from nodisk.server.rulesets import Rulesets
from nodisk.spec.model import Lab
from nodisk.state import LabState

log = logging.getLogger("nodisk.server")

LONGEST_PAUSE = 0.5
"""Between two compilations there is as long a pause as the last one took, but no longer than this."""
AGAIN = 30.0
"""Seconds after which a compilation that failed is tried again."""
STALE = 600.0
"""Seconds after which a node's mark is written again: a node that was deleted and came back has none."""


@dataclass(slots=True)
class Picture:
    """What is known of the cluster. Not for several threads."""

    namespaces: dict[Key, Any] = field(default_factory=dict)
    """Labels."""
    pods: dict[Key, Any] = field(default_factory=dict)
    """``Pod``; None for one that no policy means."""
    policies: dict[Key, Any] = field(default_factory=dict)
    """``Policy``."""

    def take(self, kind: str, event: WatchEvent) -> bool:
        """A change; whether it means anything for the rules (most changes of pods don't)."""
        kept, key = self._kept(kind), key_of(event.object)
        if event.change is Change.DELETED:
            return kept.pop(key, None) is not None
        before, now = kept.get(key), _READ[kind](event.object)
        kept[key] = now
        return bool(before != now)

    def keys(self, kind: str) -> set[Key]:
        """The objects of a kind that are known."""
        return set(self._kept(kind))

    def cluster(self) -> Cluster:
        """As the compiler takes it."""
        return Cluster(
            {name: labels for (_, name), labels in self.namespaces.items()},
            tuple(pod for pod in self.pods.values() if pod is not None),
            tuple(self.policies.values()),
        )

    def _kept(self, kind: str) -> dict[Key, Any]:
        return {"Namespace": self.namespaces, "Pod": self.pods, "NetworkPolicy": self.policies}[kind]


def _labels(obj: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels


_READ: Mapping[str, Callable[[Object], object]] = {"Namespace": _labels, "Pod": pod_of, "NetworkPolicy": policy_of}
KINDS = {"Namespace": "v1", "Pod": "v1", "NetworkPolicy": "networking.k8s.io/v1"}


@dataclass(slots=True)
class Keeper:
    """Keeps ``rulesets`` as the cluster is, from ``run`` until ``stop``."""

    lab: Lab
    state: LabState
    rulesets: Rulesets
    say: Callable[[str], None]
    connect: Callable[[LabState], Client] = api
    _picture: Picture = field(default_factory=Picture)
    _following: Following = field(init=False)
    _boots: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Node → in which boot it was seen to have its rules, and when its mark was last to be written (monotonic)."""
    _unsaid: dict[str, str] = field(default_factory=dict)
    """The same, as far as the API hasn't been told."""
    _to_say: threading.Event = field(default_factory=threading.Event)
    _told: bool = False

    def __post_init__(self) -> None:
        self._following = Following("network policies", self.state, self.connect, self.say)

    async def run(self) -> None:
        """Follow the API and publish until ``stop``."""
        loop = asyncio.get_running_loop()
        self.rulesets.applied = self._applied
        follow = [partial(self._follow, kind=kind) for kind in KINDS]
        try:
            await self._following.run(follow, partial(self._keep_compiling, loop), self._keep_telling)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the threads soon."""
        self._following.stop()
        self._to_say.set()

    def _follow(self, client: Client, kind: str) -> None:
        known, take = partial(self._picture.keys, kind), partial(self._picture.take, kind)
        for _ in self._following.changes(client, KINDS[kind], kind, known, take):
            pass

    def _keep_compiling(self, loop: asyncio.AbstractEventLoop) -> None:
        machines = self.lab.machines
        pods = network.pod_ranges(self.lab)
        ranges = {str(machine.name): pods[machine.mac] for machine in machines}
        began, following, failing = time.monotonic(), self._following, False
        while not following.stopping.is_set():
            following.dirty.wait()
            following.stopping.wait(SETTLE)
            following.dirty.clear()
            start = time.monotonic()
            if len(following.listed) == len(KINDS) and not following.stopping.is_set():
                with following.lock:
                    cluster = self._picture.cluster()
                try:
                    loop.call_soon_threadsafe(self.rulesets.publish, compile_nodes(cluster, ranges, containers.BRIDGE))
                except Exception:
                    log.exception("network policies")
                    if not failing:
                        following.say("network policies can't be compiled; machines keep what they have: see its log")
                    failing = True
                    following.stopping.wait(AGAIN)
                    following.dirty.set()
                else:
                    failing = False
                    if not self._told:
                        text = f"{len(cluster.policies)} network policies are known after {start - began:.1f} s"
                        following.say(text)
                        self._told = True
            following.stopping.wait(min(time.monotonic() - start, LONGEST_PAUSE))

    def _applied(self, node: str, boot: str) -> None:
        known, when = self._boots.get(node, ("", 0.0))
        if boot and (known != boot or time.monotonic() - when > STALE):
            self._boots[node] = (boot, time.monotonic())
            self._unsaid[node] = boot
            self._to_say.set()

    def _keep_telling(self) -> None:
        """In a thread of its own: rules don't wait for an API that is slow to write."""
        while True:
            self._to_say.wait()
            if self._following.stopping.is_set():
                return
            self._to_say.clear()
            self._tell()

    def _tell(self) -> None:
        """Note on the nodes that they have their rules in this boot: ``capacity.enforcer`` counts them."""
        for node, boot in list(self._unsaid.items()):
            note = {"metadata": {"annotations": {APPLIED: boot}}}
            try:
                with self.connect(self.state) as client:
                    client.patch("v1", "Node", node, note)
            except NodiskError as error:
                # The node isn't there yet, or the API isn't: the node's next request comes within a minute.
                self._boots.pop(node, None)
                log.info("network policies on %s: %s", node, error.message)
            if self._unsaid.get(node) == boot:
                del self._unsaid[node]
