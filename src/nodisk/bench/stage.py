"""What every load uses: the scene, the profile, a PriorityClass below all others, and helpers for pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nodisk import ports
from nodisk.bench.metrics import Scrape, labelled, parse
from nodisk.bench.profile import Profile
from nodisk.kube.client import Object
from nodisk.kube.watch import Watch, WatchEvent
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.values import Role
from nodisk.verify import manifests
from nodisk.verify.diagnose import pod_trouble
from nodisk.verify.scene import Scene

_WORKLOADS = (("apps/v1", "Deployment"), ("apps/v1", "DaemonSet"), ("v1", "Service"))
REQUESTS = "apiserver_request_duration_seconds"


@dataclass(slots=True)
class Stage:
    """One run of bench."""

    scene: Scene
    profile: Profile
    say: Callable[[str], None]
    nics: dict[str, dict[str, str]] = field(default_factory=dict)
    """Node → what the network measure found out about its NIC: ``driver``, ``mtu``."""

    @property
    def priority(self) -> str:
        """The run's PriorityClass: any other pod may preempt these."""
        return self.scene.space

    @property
    def pace(self) -> float:
        """How many times slower the cluster is than one of PCs."""
        return self.scene.pace

    def set_up(self) -> None:
        """The PriorityClass, and a quota: a bug in bench must not use up a classroom."""
        labels = {manifests.LABEL: "bench", manifests.RUN_LABEL: self.scene.run_id}
        self.scene.client.create(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": self.priority, "labels": labels},
                "value": -1000,
                "preemptionPolicy": "Never",
                "description": "nodisk bench: gives way to everything else",
            }
        )
        limits = {"hard": quota(self.scene.nodes(), self.profile)}
        meta = manifests.meta("bench", self.scene.space)
        self.scene.client.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": limits})

    def pod_spec(self, main: Object, **more: Any) -> Object:
        """A pod of the run."""
        return manifests.pod_spec(main, priorityClassName=self.priority, **more)

    def on_all_nodes(self, app: str, spec: Object) -> dict[str, Object]:
        """A DaemonSet, and its ready pods by node."""
        self.scene.client.apply(manifests.daemon_set(app, self.scene.space, spec))
        wanted = set(self.scene.nodes())
        self.scene.clock.start(120 * self.pace)

        def late() -> str | None:
            missing = wanted - self.scene.ready(app).keys()
            return f"no ready pod of {app} on {', '.join(sorted(missing))}" if missing else None

        self.scene.clock.until(late)
        return self.scene.ready(app)

    def one_pod(self, app: str, spec: Object) -> str:
        """A pod somewhere; its name, once it is ready."""
        self.scene.client.create(manifests.pod(app, self.scene.space, spec))
        self.scene.clock.start(120 * self.pace)

        def late() -> str | None:
            found = self.scene.pods(app)
            return None if self.scene.ready(app) else f"{app}: {pod_trouble(found[0]) if found else 'no pod'}"

        self.scene.clock.until(late)
        return app

    def clear(self) -> None:
        """Delete everything that runs in the namespace, and wait until it is gone, for the next load's sake."""
        client, space = self.scene.client, self.scene.space
        for api_version, kind in _WORKLOADS:
            for one in client.list(api_version, kind, namespace=space, metadata_only=True):
                client.delete(api_version, kind, one["metadata"]["name"], namespace=space)
        self.scene.clock.start(120 * self.pace)

        def left() -> str | None:
            pods = client.list("v1", "Pod", namespace=space, metadata_only=True)
            # Those of a controller go with it; deleted by hand before it knows, they would come back.
            bare = [one["metadata"]["name"] for one in pods if not one["metadata"].get("ownerReferences")]
            all_or_raise(in_parallel(lambda name: client.delete("v1", "Pod", name, namespace=space, grace=0), bare))
            return f"{len(pods)} pods are still there" if pods else None

        self.scene.clock.until(left)

    def scrape(self) -> Scrape:
        """The API servers' current request histograms, each with its server's name as a label.

        If there are several, each is read at its own address: at the common one, a different one may answer each time.
        """
        servers = self.scene.context.lab.by_role(Role.CONTROL_PLANE)
        if len(servers) < 2:
            return parse(self.scene.client.request("GET", "/metrics", accept="text/plain").text, (REQUESTS,))
        self.scene.clock.start(60 * self.pace)
        texts = self.scene.in_parallel(self._metrics, [str(one.name) for one in servers])
        return labelled({name: parse(text, (REQUESTS,)) for name, text in texts.items()})

    def _metrics(self, server: str) -> str:
        return self.scene.kubectl(
            "--server", f"https://{self.scene.address(server)}:{ports.API}", "get", "--raw", "/metrics"
        )


def density_target(node: Object) -> int:
    """Pods that a node should hold, by Kubernetes' own limits for large clusters: 10 per core, at most 110."""
    capacity = node["status"]["capacity"]
    return min(110, 10 * int(capacity["cpu"]), int(capacity["pods"]))


def quota(nodes: Mapping[str, Object], profile: Profile) -> dict[str, str]:
    """The most that all loads together can request of these nodes. Pure."""
    most = sum(max(density_target(node), profile.burst) for node in nodes.values())
    # The pods by themselves, and the three DaemonSets: two of the network measures', one of Services.
    pods = most + 3 * len(nodes) + 50
    return {
        "pods": str(pods),
        "services": str(50 + len(nodes)),
        "requests.cpu": f"{5 * pods}m",
        "limits.memory": f"{32 * pods + 2 * 128 * len(nodes)}Mi",
    }


@contextmanager
def watching(stage: Stage, api_version: str, kind: str, seen: Callable[[WatchEvent, float], None]) -> Iterator[None]:
    """One watch client over the run's namespace; ``seen`` gets each event and CLOCK_MONOTONIC at its arrival."""
    watch = Watch(stage.scene.client, api_version, kind, namespace=stage.scene.space)

    def follow() -> None:
        for event in watch:
            seen(event, time.monotonic())

    thread = threading.Thread(target=follow, name="nodisk-watch", daemon=True)
    thread.start()
    time.sleep(0.5)  # the list that a watch begins with must be over before the first sample
    try:
        yield
    finally:
        watch.close()
        thread.join(10)


def running(pod: Object) -> bool:
    """Whether all its containers run (not: are ready), as the pod-start SLO has it."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return len(statuses) == len(pod["spec"]["containers"]) and all("running" in one["state"] for one in statuses)
