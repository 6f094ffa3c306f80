"""Pods: the time until one runs, pods per second in a burst, pods per node."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodisk.bench.measures import BY_NAME
from nodisk.bench.result import Measurement, Series
from nodisk.bench.stage import Stage, density_target, running, watching
from nodisk.bench.stats import percentile, summary
from nodisk.kube.client import Object
from nodisk.kube.watch import Change, WatchEvent
from nodisk.verify import manifests
from nodisk.waiting import Deadline

PHASES = ("created", "scheduled", "total")
ALIVE = 25
"""The most pods of the start measure that exist at once: it measures starting, not density."""
WAIT = 60.0
"""Seconds, times the pace, after which a pod that doesn't run is a lost sample."""


@dataclass(slots=True)
class Timing:
    """One pod's times: CLOCK_MONOTONIC of this host."""

    sent: float
    seen: dict[str, float] = field(default_factory=dict)
    node: str = ""
    server: float | None = None
    """startedAt minus creationTimestamp, in whole seconds: the server's and the node's clocks."""


class Timer:
    """Follows pods by one watch."""

    def __init__(self) -> None:
        self.pods: dict[str, Timing] = {}
        self._lock = threading.Condition()

    def sent(self, name: str) -> None:
        """The create request of this pod goes out now."""
        with self._lock:
            self.pods[name] = Timing(time.monotonic())

    def event(self, event: WatchEvent, now: float) -> None:
        """What the watch showed."""
        pod = event.object
        with self._lock:
            timing = self.pods.get(pod["metadata"]["name"])
            if timing is None or event.change is Change.DELETED:
                return
            timing.seen.setdefault("created", now)
            if node := pod["spec"].get("nodeName"):
                timing.node = node
                timing.seen.setdefault("scheduled", now)
            if running(pod) and "total" not in timing.seen:
                timing.seen["total"] = now
                timing.server = _by_server(pod)
                self._lock.notify_all()

    def wait(self, name: str, seconds: float) -> bool:
        """Until that pod runs."""
        with self._lock:
            return self._lock.wait_for(lambda: "total" in self.pods[name].seen, seconds)

    def wait_few(self, most: int, seconds: float) -> None:
        """Until fewer than ``most`` pods are starting; one that was sent ``seconds`` ago is lost and doesn't count."""

        def starting() -> int:
            now = time.monotonic()
            return sum("total" not in one.seen and now - one.sent < seconds for one in self.pods.values())

        with self._lock:
            while starting() >= most:
                self._lock.wait(0.5)

    def wait_all(self, seconds: float) -> int:
        """Until all run or the time is over; how many don't."""
        deadline = Deadline(seconds)
        return sum(not self.wait(name, deadline.left) for name in list(self.pods))

    def series(self) -> tuple[Series, ...]:
        """By node and phase, seconds since the request was sent."""
        found: dict[tuple[str, str], list[float]] = {}
        for timing in self.pods.values():
            if "total" in timing.seen:
                for phase in PHASES:
                    found.setdefault((timing.node, phase), []).append(timing.seen[phase] - timing.sent)
        return tuple(
            Series({"node": node, "phase": phase}, tuple(values)) for (node, phase), values in sorted(found.items())
        )


def _by_server(pod: Object) -> float:
    started = max(one["state"]["running"]["startedAt"] for one in pod["status"]["containerStatuses"])
    created = pod["metadata"]["creationTimestamp"]
    return (datetime.fromisoformat(started) - datetime.fromisoformat(created)).total_seconds()


def _measurement(name: str, timer: Timer, lost: int, note: str) -> Measurement:
    series = timer.series()
    totals = [sample for one in series if one.labels["phase"] == "total" for sample in one.samples]
    if not totals:
        return Measurement(name, None, note=f"{note}; no pod ran in time", lost=lost)
    servers = [one.server for one in timer.pods.values() if one.server is not None]
    said = summary(totals)
    check = f"median {said.median:.2f} s; by the servers' own times (whole seconds) {percentile(servers, 0.5):.0f} s"
    return Measurement(name, said.p99, said.n, series, f"{note}; {check}", lost)


def start(stage: Stage) -> list[Measurement]:
    """Pods one after another at the stated rate, on the nodes that the scheduler chooses.

    The image is there: ``verify``, which runs first, has started a pod of it on every node.
    """
    profile, scene = stage.profile, stage.scene
    rate = profile.pod_rate / stage.pace
    most = at_once(rate)
    spec = stage.pod_spec(manifests.container(["sleep", "100000"]))
    timer, lost = Timer(), 0
    with watching(stage, "v1", "Pod", timer.event):
        began = time.monotonic()
        for number in range(profile.pods):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            timer.wait_few(most, WAIT * stage.pace)
            name = f"start-{number}"
            timer.sent(name)
            scene.client.create(manifests.pod(name, scene.space, spec, {"app": "start"}))
            if number >= ALIVE:
                old = f"start-{number - ALIVE}"
                if timer.wait(old, WAIT * stage.pace):
                    scene.client.delete("v1", "Pod", old, namespace=scene.space)
        lost = timer.wait_all(WAIT * stage.pace)
        real = profile.pods / (time.monotonic() - began)
    note = f"{rate:.2g} pods a second asked for, at most {most} starting at once, {real:.2g} a second came to run"
    return [_measurement("pod_start_p99", timer, lost, note)]


def at_once(rate: float) -> int:
    """The most pods that may be starting at the same time: with more, the SLO is missed and the queue is measured."""
    limit = BY_NAME["pod_start_p99"].threshold or 0.0
    return math.ceil(limit * rate) + 1


def cold(stage: Stage, make_image: Callable[[int], str], size: int) -> list[Measurement]:
    """A pod on each node whose image nobody has; ``make_image(number)`` pushes one of ``size`` bytes."""
    timer, scene = Timer(), stage.scene
    images = {
        f"cold-{node}-{number}": (node, make_image(place * stage.profile.cold + number))
        for place, node in enumerate(stage.scene.workers())
        for number in range(stage.profile.cold)
    }
    lost = 0
    with watching(stage, "v1", "Pod", timer.event):
        for name, (node, image) in images.items():
            main = manifests.container(["sleep", "100000"], image=image)
            spec = stage.pod_spec(main, nodeSelector={"kubernetes.io/hostname": node})
            timer.sent(name)
            scene.client.create(manifests.pod(name, scene.space, spec, {"app": "cold"}))
            lost += not timer.wait(name, WAIT * stage.pace)
    note = f"one at a time, on each node; a layer of {size / 2**20:.0f} MiB is new, the image's base is there"
    return [_measurement("pod_start_cold", timer, lost, note)]


def burst(stage: Stage) -> list[Measurement]:
    """A Deployment of N pods at once."""
    count = stage.profile.burst * max(1, len(stage.scene.workers()))
    spec = stage.pod_spec(manifests.container(["sleep", "100000"]))
    seconds, ran = _flood(stage, {"burst": (spec, count)}, each=stage.profile.burst)
    at_end = sum(ran.values())
    if at_end < count:
        return [Measurement("pod_throughput", None, note=f"{at_end} of {count} ran in time", lost=count - at_end)]
    rate = count / seconds
    return [Measurement("pod_throughput", rate, 1, (Series({}, (rate,)),), f"N = {count}, {seconds:.1f} s")]


def density(stage: Stage) -> list[Measurement]:
    """Fill all nodes at once, each with its own Deployment: otherwise one full node could make up for an empty one."""
    if not stage.profile.density:
        return [Measurement("density", None, note="only with --profile full")]
    nodes = stage.scene.nodes()
    present = Counter(
        pod["spec"]["nodeName"] for pod in stage.scene.client.list("v1", "Pod", fields="status.phase=Running")
    )
    targets = {name: density_target(nodes[name]) for name in stage.scene.workers()}
    missing = {name: max(0, target - present[name]) for name, target in targets.items()}
    main = manifests.container(["sleep", "100000"])
    wanted = {
        f"density-{name}": (stage.pod_spec(main, nodeSelector={"kubernetes.io/hostname": name}), count)
        for name, count in missing.items()
    }
    seconds, found = _flood(stage, wanted, each=max(missing.values(), default=0))
    return [density_measure(missing, {name: found[f"density-{name}"] for name in missing}, targets, seconds)]


def density_measure(
    missing: Mapping[str, int], ran: Mapping[str, int], targets: Mapping[str, int], seconds: float
) -> Measurement:
    """The share over all nodes; by node what was there before counts too. Pure."""
    count, started = sum(missing.values()), sum(ran.values())
    short = {name: targets[name] - missing[name] + ran[name] for name in missing if ran[name] < missing[name]}
    words = [f"{name} {got} of {targets[name]}" for name, got in short.items()]
    note = f"{started} of {count} pods ran after {seconds:.0f} s; " + (
        f"short of the target: {', '.join(words)}"
        if words
        else f"targets {', '.join(f'{name}: {target}' for name, target in targets.items())}"
    )
    series = tuple(
        Series({"node": name}, value=100 * (targets[name] - missing[name] + ran[name]) / targets[name])
        for name in missing
    )
    return Measurement("density", 100 * started / count if count else 100.0, count, series, note)


def _flood(stage: Stage, wanted: Mapping[str, tuple[Object, int]], *, each: int) -> tuple[float, Counter[str]]:
    """Start Deployments of (spec, replicas) at once: seconds until all ran or the time was over, and how many ran.

    ``each``: the most pods that one node has to start, by which the time is reckoned.
    """
    scene, ran, count = stage.scene, dict[str, str](), sum(replicas for _, replicas in wanted.values())
    full = threading.Event()

    def seen(event: WatchEvent, _now: float) -> None:
        pod = event.object
        app = str((pod["metadata"].get("labels") or {}).get("app"))
        if event.change is not Change.DELETED and app in wanted and running(pod):
            ran[pod["metadata"]["name"]] = app
            if len(ran) >= count:
                full.set()

    with watching(stage, "v1", "Pod", seen):
        began = time.monotonic()
        for name, (spec, replicas) in wanted.items():
            scene.client.create(manifests.deployment(name, scene.space, spec, replicas))
        if count:
            full.wait((60 + 4 * each + count / 10) * stage.pace)
        seconds = time.monotonic() - began
    return seconds, Counter(ran.values())
