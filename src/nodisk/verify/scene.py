"""The cluster as checks see it: its nodes, the run's own namespace, pods to send requests from, a probe outside."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from nodisk import run
from nodisk.assets.kubectl import kubectl_program, unanswered
from nodisk.context import LabContext
from nodisk.errors import CommandFailed, NodiskError
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError
from nodisk.kube.objects import closing_taints, going, is_ready
from nodisk.kube.patience import COMMAND
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.records import virtual_lab
from nodisk.verify import manifests
from nodisk.verify.clock import CROWDED, SLOW, Clock
from nodisk.waiting import Deadline

T = TypeVar("T")
log = logging.getLogger("nodisk.verify")

PC_LATENCY = 0.006
"""Seconds in which a PC's API server answers a small GET over a kept-alive connection."""
SLOWEST = 12.0
EMULATED = 8.0
"""A pace that emulated machines have at least, whatever one second of measuring says."""


@dataclass(slots=True)
class Scene:
    """One run of verify or bench. ``pace``: how many times slower this cluster is than one of PCs, at least 1."""

    context: LabContext
    client: Client
    run_id: str
    space: str
    """The run's own namespace."""
    pace: float = 1.0
    clock: Clock = field(default_factory=Clock)
    pending: dict[str, Future[Any]] = field(default_factory=dict)
    """Background work, by the name of the check that needs it."""
    # Nodes

    def nodes(self) -> dict[str, Object]:
        """Name → node, from the API."""
        return {node["metadata"]["name"]: node for node in self.client.list("v1", "Node")}

    def workers(self) -> list[str]:
        """Names of the nodes that take ordinary pods."""
        return sorted(name for name, node in self.nodes().items() if not closing_taints(node))

    def address(self, node: str) -> str:
        """The address of a machine of the lab."""
        machine = self.context.lab.machine(node)
        if machine is None:
            raise NodiskError(f"{node} is in the cluster, but not in lab.yaml")
        return str(machine.address)

    # Pods

    def pods(self, app: str) -> list[Object]:
        """The run's pods with that label, without those being deleted."""
        found = self.client.list("v1", "Pod", namespace=self.space, labels=f"app={app}")
        return [pod for pod in found if not going(pod)]

    def ready(self, app: str) -> dict[str, Object]:
        """Node → a ready pod of ``app`` on it."""
        return {pod["spec"]["nodeName"]: pod for pod in self.pods(app) if is_ready(pod)}

    def kubectl(self, *words: str, timeout: float | None = None) -> str:
        """What the release's kubectl prints, in the run's namespace; raises CommandFailed or TimedOut."""
        argv: list[str | Path] = [kubectl_program(self.context), "--kubeconfig", self.context.state.admin_kubeconfig]
        argv += ["--namespace", self.space, *words]
        seconds = min(self.clock.left, timeout or self.clock.left)
        limit = None if seconds == float("inf") else max(1.0, seconds)
        deadline = Deadline(min(seconds, COMMAND))
        while True:
            try:
                return run.run(argv, netns=self.context.netns, timeout=limit).stdout
            except CommandFailed as error:
                if not unanswered(error) or not deadline.pause(1):
                    raise
                log.info("%s; tried again", error.message)

    def exec(self, pod: str, script: str, *, space: str = "", timeout: float | None = None) -> str:
        """Run a shell script in a pod, of the run's namespace or of ``space``, and return its output."""
        where = ("--namespace", space) if space else ()
        return self.kubectl(*where, "exec", pod, "--", "sh", "-c", script, timeout=timeout)

    def probe(self, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Probe the lab's network from the server's side: ``nodisk.verify.probe``.

        It ends at the check's limit or the probes' own, whichever is later: at the limit, their answers are the
        evidence.
        """
        own = max((one.get("timeout") or one.get("for") or 5 for one in wishes), default=0) + 10 * self.pace
        seconds = min(600.0, max(own, self.clock.left))
        words: list[str | Path] = [sys.executable, "-m", "nodisk.verify.probe"]
        done = run.run(words, netns=self.context.netns, stdin=json.dumps(list(wishes)), timeout=seconds)
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def events(self, kind: str, name: str) -> list[str]:
        """The newest warnings about an object of this run."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name},type=Warning"
        found = self.client.list("v1", "Event", namespace=self.space, fields=selector)
        found.sort(key=lambda event: str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]))
        return [f"{event.get('reason')}: {event.get('message')}" for event in found[-2:]]

    def begin(self, name: str, act: Callable[[], Any]) -> None:
        """Run something in a separate thread while other checks run; its Future is ``pending[name]``."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"nodisk-{name}")
        self.pending[name] = pool.submit(act)
        pool.shutdown(wait=False)

    def in_parallel(self, act: Callable[[str], T], names: Iterable[str]) -> dict[str, T]:
        """Run something for all names at once; raises the first exception when all have ended."""
        listed = list(names)
        return dict(zip(listed, all_or_raise(in_parallel(act, listed, workers=16)), strict=True))


def measure_pace(client: Client) -> float:
    """How much slower than on PCs a small GET is, at least 1: time limits are multiplied by it.

    Without KVM an emulated cluster is ten to thirty times slower, and its limits must grow as much.
    """
    client.get("v1", "Namespace", "kube-system")
    times = []
    for _ in range(7):
        began = time.monotonic()
        client.get("v1", "Namespace", "kube-system")
        times.append(time.monotonic() - began)
    return min(SLOWEST, max(1.0, median(times) / PC_LATENCY))


def least_pace(context: LabContext) -> float:
    """What the pace is at least: emulated machines answer a quick second's GETs like a PC, and start pods like none."""
    return EMULATED if virtual_lab.emulated(context.state) else 1.0


def pace_line(scene: Scene) -> str:
    """A line that says by how much the time limits are multiplied."""
    if scene.pace == EMULATED:
        return (
            f"emulated machines: time limits are multiplied by {EMULATED:g}, and by {CROWDED * EMULATED:g} in a crowd"
        )
    if scene.pace < SLOW:
        return "the API answers as fast as on PCs: time limits are as documented"
    return (
        f"the API is {scene.pace:.1f} times slower than on PCs (no KVM?): time limits are multiplied by that, "
        f"and by {CROWDED * scene.pace:.1f} for checks that run beside others"
    )


def cordon(client: Client, node: str, run_id: str) -> None:
    """Cordon a node, and record on it who did so."""
    change = {"metadata": {"annotations": {manifests.CORDONED: run_id}}, "spec": {"unschedulable": True}}
    client.patch("v1", "Node", node, change)


def uncordon(client: Client, node: str) -> None:
    """Uncordon a node; do nothing if it is gone."""
    change = {"metadata": {"annotations": {manifests.CORDONED: None}}, "spec": {"unschedulable": None}}
    try:
        client.patch("v1", "Node", node, change)
    except ApiError as error:
        if error.status != 404:
            raise
