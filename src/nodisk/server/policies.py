"""NetworkPolicies where nodes enforce them by rules from the server: the API's changes → a table for each node.

Three threads follow namespaces, pods and policies; a fourth compiles the tables and publishes them. Nothing is
published before all three have been listed once: until then nodes keep what they have, as they do while the server is
away.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from nodisk.errors import NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.watch import Change, Watch, WatchEvent
from nodisk.plan import containers, network
from nodisk.plan.policies import APPLIED, Cluster, pod_of, policy_of
from nodisk.plan.policy_rules import compile_nodes
from nodisk.server.nodes import api
from nodisk.server.rulesets import Rulesets
from nodisk.spec.model import Lab
from nodisk.state import LabState

log = logging.getLogger("nodisk.server")

SETTLE = 0.02
"""Seconds in which changes that come together are taken together."""
LONGEST_PAUSE = 0.5
"""Between two compilations there is as long a pause as the last one took, but no longer than this."""
Key = tuple[str, str]


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
        kept, key = self._kept(kind), _key(event.object)
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
    _stopping: threading.Event = field(default_factory=threading.Event)
    _dirty: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _picture: Picture = field(default_factory=Picture)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)
    _boots: dict[str, str] = field(default_factory=dict)
    """Node → in which boot it was seen to have its rules."""
    _unsaid: dict[str, str] = field(default_factory=dict)
    """The same, as far as the API hasn't been told."""
    _told: bool = False

    async def run(self) -> None:
        """Follow the API and publish until ``stop``."""
        loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(len(KINDS) + 1, "policies")
        self.rulesets.applied = self._applied
        try:
            work = [loop.run_in_executor(pool, self._keep_following, kind) for kind in KINDS]
            await asyncio.gather(*work, loop.run_in_executor(pool, self._keep_compiling, loop))
        finally:
            self.stop()
            pool.shutdown(wait=False)

    def stop(self) -> None:
        """End the threads soon."""
        self._stopping.set()
        self._dirty.set()
        for watch in list(self._watches.values()):
            watch.close()

    def _keep_following(self, kind: str) -> None:
        while not self._stopping.is_set():
            try:
                with self.connect(self.state) as client:
                    self._follow(client, kind)
            except NodiskError as error:
                log.info("network policies: %s", error.message)
            except Exception:
                log.exception("network policies")
            self._stopping.wait(2)

    def _follow(self, client: Client, kind: str) -> None:
        """Take all changes of a kind. Of what an earlier watch has told, what this one doesn't list is gone."""
        with self._lock:
            missing = self._picture.keys(kind)

        def listed() -> None:
            with self._lock:
                for namespace, name in missing:
                    meta = {"namespace": namespace, "name": name}
                    self._picture.take(kind, WatchEvent(Change.DELETED, {"metadata": meta}))
            missing.clear()
            self._listed.add(kind)
            self._dirty.set()

        with Watch(client, KINDS[kind], kind, on_listed=listed) as watch:
            self._watches[kind] = watch
            if self._stopping.is_set():
                return
            for event in watch:
                missing.discard(_key(event.object))
                with self._lock:
                    changed = self._picture.take(kind, event)
                if changed:
                    self._dirty.set()

    def _keep_compiling(self, loop: asyncio.AbstractEventLoop) -> None:
        machines = self.lab.machines
        pods = network.pod_ranges(self.lab)
        ranges = {str(machine.name): pods[machine.mac] for machine in machines}
        began = time.monotonic()
        while not self._stopping.is_set():
            self._dirty.wait()
            self._stopping.wait(SETTLE)
            self._dirty.clear()
            start = time.monotonic()
            if len(self._listed) == len(KINDS) and not self._stopping.is_set():
                with self._lock:
                    cluster = self._picture.cluster()
                try:
                    loop.call_soon_threadsafe(self.rulesets.publish, compile_nodes(cluster, ranges, containers.BRIDGE))
                except Exception:
                    log.exception("network policies")
                else:
                    if not self._told:
                        self.say(f"{len(cluster.policies)} network policies are known after {start - began:.1f} s")
                        self._told = True
            self._tell()
            self._stopping.wait(min(time.monotonic() - start, LONGEST_PAUSE))

    def _applied(self, node: str, boot: str) -> None:
        if boot and self._boots.get(node) != boot:
            self._boots[node] = self._unsaid[node] = boot
            self._dirty.set()

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


def _key(obj: Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
