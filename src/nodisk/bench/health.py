"""What went wrong in the cluster while bench measured: restarts, OOM kills, evictions, changes of nodes' readiness.

Only what bench or the cluster itself is responsible for counts: its own pods, those of kube-system, and the nodes. A
student's pod that crashes by itself is shown and fails nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Self

from nodisk.bench.result import Measurement, Series
from nodisk.kube.client import Client, Object
from nodisk.kube.objects import readiness
from nodisk.kube.watch import Change, Watch

KINDS = ("restarts", "OOM kills", "evictions", "node flaps")
OTHERS = "other people's pods"
LIST = 60.0
"""Seconds for the first list of nodes and pods; after that bench goes on without it."""

Fault = tuple[str, str, str]
"""Its kind, what makes it this very one, and words."""


def faults(pod: Object) -> Iterator[Fault]:
    """Everything that a pod's status says has gone wrong with it so far. Pure."""
    name, uid, status = pod["metadata"]["name"], pod["metadata"]["uid"], pod.get("status") or {}
    if status.get("reason") == "Evicted":
        yield "evictions", uid, f"{name}: {status.get('message', '')}"
    for one in status.get("containerStatuses") or []:
        for number in range(int(one["restartCount"])):
            yield "restarts", f"{uid} {one['name']} {number}", f"{name}: {one['name']} restarted"
        for state in (one.get("state") or {}, one.get("lastState") or {}):
            ended = state.get("terminated") or {}
            if ended.get("reason") == "OOMKilled":
                yield "OOM kills", str(ended.get("containerID")), f"{name}: {one['name']} was out of memory"


class Health:
    """Watches from ``__enter__`` on; ``measurement`` says what happened. ``space``: bench's own namespace."""

    def __init__(self, client: Client, space: str) -> None:
        self._client = client
        self._ours = frozenset({space, "kube-system"})
        self.counts: Counter[str] = Counter()
        self.details: list[str] = []
        self._ready: dict[str, str] = {}
        self._known: set[tuple[str, str]] = set()
        self._listed = [threading.Event(), threading.Event()]
        self._watches = [
            Watch(client, "v1", kind, on_listed=listed.set)
            for kind, listed in zip(("Node", "Pod"), self._listed, strict=True)
        ]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.before(self._client.list("v1", "Pod"))
        for watch, seen in zip(self._watches, (self.node, self.pod), strict=True):
            threading.Thread(target=self._follow, args=(watch, seen), daemon=True).start()
        for listed in self._listed:  # what changes before that would be taken for how it was
            listed.wait(LIST)
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

    def before(self, pods: list[Object]) -> None:
        """Ignore what went wrong before: an eviction stays in a pod's status for weeks."""
        self._known |= {(kind, which) for pod in pods for kind, which, _ in faults(pod)}

    def node(self, node: Object) -> None:
        """A node changed."""
        name, status = node["metadata"]["name"], readiness(node)
        before, self._ready[name] = self._ready.get(name, status), status
        if before == "True" != status:  # one flap; that it comes back is no second one
            self._note("node flaps", f"{name}: Ready became {status}")

    def pod(self, pod: Object) -> None:
        """A pod changed."""
        space = pod["metadata"]["namespace"]
        for kind, which, words in faults(pod):
            if (kind, which) not in self._known:
                self._known.add((kind, which))
                self._note(*((kind, words) if space in self._ours else (OTHERS, f"{space}/{words} (not counted)")))

    def measurement(self) -> Measurement:
        """The counts since then."""
        with self._lock:
            total = sum(self.counts[kind] for kind in KINDS)
            series = tuple(Series({"kind": kind}, value=float(self.counts[kind])) for kind in (*KINDS, OTHERS))
            told = sorted(self.details, key=lambda words: words.endswith("(not counted)"))
            note = "; ".join(told[:5]) or "nothing"
        return Measurement("health", float(total), 1, series, note)
