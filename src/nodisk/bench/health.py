"""What went wrong in the cluster while bench measured: restarts, OOM kills, evictions, nodes that came and went."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Self

from nodisk.bench.result import Measurement, Series
from nodisk.cluster.client import Client, Object
from nodisk.cluster.watch import Change, Watch
from nodisk.verify.scene import node_condition

KINDS = ("restarts", "OOM kills", "evictions", "node flaps")


def container_restarts(pods: list[Object]) -> dict[tuple[str, str], int]:
    """(pod's uid, container) → how often it was restarted."""
    return {
        (pod["metadata"]["uid"], one["name"]): int(one["restartCount"])
        for pod in pods
        for one in (pod.get("status") or {}).get("containerStatuses") or []
    }


class Health:
    """Watches from ``__enter__`` on; ``measurement`` says what happened."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.counts: Counter[str] = Counter()
        self.details: list[str] = []
        self._ready: dict[str, str] = {}
        self._restarts: dict[tuple[str, str], int] = {}
        self._watches = [Watch(client, "v1", "Node"), Watch(client, "v1", "Pod")]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._restarts = container_restarts(self._client.list("v1", "Pod"))
        for watch, seen in zip(self._watches, (self.node, self.pod), strict=True):
            threading.Thread(target=self._follow, args=(watch, seen), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.close()

    def _follow(self, watch: Watch, seen: object) -> None:
        for event in watch:
            if event.change is not Change.DELETED:
                seen(event.object)  # type: ignore[operator] # node or pod

    def _note(self, kind: str, words: str) -> None:
        with self._lock:
            self.counts[kind] += 1
            self.details.append(words)

    def node(self, node: Object) -> None:
        """A node changed."""
        name, status = node["metadata"]["name"], node_condition(node, "Ready").get("status", "Unknown")
        if self._ready.setdefault(name, status) != status:
            self._note("node flaps", f"{name}: Ready became {status}")
            self._ready[name] = status

    def pod(self, pod: Object) -> None:
        """A pod changed."""
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        if status.get("reason") == "Evicted" and self._restarts.setdefault((name, "evicted"), 0) == 0:
            self._restarts[name, "evicted"] = 1
            self._note("evictions", f"{name}: {status.get('message', '')}")
        for key, count in container_restarts([pod]).items():
            if count > self._restarts.get(key, 0):
                self._note("restarts", f"{name}: {key[1]} restarted")
            self._restarts[key] = max(count, self._restarts.get(key, 0))
        for one in status.get("containerStatuses") or []:
            for state in (one.get("state") or {}, one.get("lastState") or {}):
                ended = state.get("terminated") or {}
                key = (str(ended.get("containerID")), "oom")
                if ended.get("reason") == "OOMKilled" and key not in self._restarts:
                    self._restarts[key] = 1
                    self._note("OOM kills", f"{name}: {one['name']} was out of memory")

    def measurement(self) -> Measurement:
        """What was counted since."""
        with self._lock:
            total = sum(self.counts.values())
            series = tuple(Series({"kind": kind}, value=float(self.counts[kind])) for kind in KINDS)
            note = "; ".join(self.details[:5]) or "nothing"
        return Measurement("health", float(total), 1, series, note)
