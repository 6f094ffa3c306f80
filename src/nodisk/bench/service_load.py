"""How long a Service takes to be programmed on every node, and a lookup by name."""

from __future__ import annotations

import functools
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from nodisk.assets.bench_image import BENCH
from nodisk.bench.net_load import IMAGE_ASKED
from nodisk.bench.result import Measurement, Series
from nodisk.bench.stage import Stage
from nodisk.bench.stats import summary
from nodisk.errors import CommandFailed, NodiskError, TimedOut
from nodisk.kube.client import Object
from nodisk.kube.watch import wait_for
from nodisk.verify import manifests

WAIT = 20.0
"""Seconds, times the pace, after which a Service that doesn't answer is a lost sample."""
_NAME = "kubernetes.default.svc.cluster.local"
# A line of dnsperf for each lookup: the answer's code (or T for none), the name, the type, seconds.
_ANSWERED = re.compile(r"^> NOERROR \S+ A ([\d.]+)$", re.MULTILINE)


def services(stage: Stage) -> list[Measurement]:
    """Give a Service its first endpoints; a probe outside sends requests to its NodePort on each node until it answers.

    The endpoints are pods that have been ready for a while, so that only the controller and kube-proxy are timed:
    from the endpoints in the watch to an answer. Both times are this host's CLOCK_MONOTONIC.
    """
    spec = stage.pod_spec(manifests.container(), everywhere=True)
    stage.on_all_nodes("target", spec)
    scene, machines = stage.scene, stage.scene.context.lab.machines
    samples: dict[str, list[float]] = {str(machine.name): [] for machine in machines}
    lost = 0
    for number in range(stage.profile.services):
        name = f"svc-{number}"
        made = scene.client.create(manifests.service(name, scene.space, app=None, node_port=True))
        port = made["spec"]["ports"][0]["nodePort"]
        seconds = WAIT * stage.pace
        wishes = [{"kind": "until", "host": str(m.address), "port": port, "for": seconds} for m in machines]
        with ThreadPoolExecutor(max_workers=2) as pool:
            probing = pool.submit(scene.probe, wishes)
            seen = pool.submit(_endpoints_seen, stage, name, seconds, time.monotonic() + 1 + 0.2 * stage.pace)
            answers, programmed = probing.result(), seen.result()
        for machine, answer in zip(machines, answers, strict=True):
            if answer["ok"] and programmed is not None:
                samples[str(machine.name)].append(max(0.0, answer["at"] - programmed))
            else:
                lost += 1
        scene.client.delete("v1", "Service", name, namespace=scene.space)
    values = [sample for one in samples.values() for sample in one]
    if not values:
        return [Measurement("svc_program_p99", None, note="no Service was ever reached", lost=lost)]
    said = summary(values)
    series = tuple(Series({"node": node}, tuple(found)) for node, found in samples.items() if found)
    note = f"median {said.median * 1000:.0f} ms; {stage.profile.services} Services on each node"
    return [Measurement("svc_program_p99", said.p99, said.n, series, note, lost)]


def _endpoints_seen(stage: Stage, name: str, seconds: float, begin: float) -> float | None:
    """Give the Service its selector at ``begin`` (the probe has started by then); returns when its endpoints showed."""
    scene = stage.scene
    # What kube-proxy follows from 1.19 on. Endpoints are written by another controller, and may come later.
    slices = scene.client.first_supported("EndpointSlice", ("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"))
    selector = {"spec": {"selector": {"app": "target"}}}
    select = functools.partial(scene.client.patch, "v1", "Service", name, selector, namespace=scene.space)
    timer = threading.Timer(max(0.0, begin - time.monotonic()), select)
    timer.daemon = True
    timer.start()
    for event in wait_for(
        scene.client,
        slices or "v1",
        "EndpointSlice" if slices else "Endpoints",
        namespace=scene.space,
        labels=f"kubernetes.io/service-name={name}" if slices else None,
        fields=None if slices else f"metadata.name={name}",
        seconds=seconds,
    ):
        if has_endpoints(event.object):
            return time.monotonic()
    return None


def has_endpoints(obj: Object) -> bool:
    """Whether an EndpointSlice or an Endpoints object names a ready endpoint. Pure."""
    if any(subset.get("addresses") for subset in obj.get("subsets") or []):
        return True
    # An absent condition means ready (discovery.k8s.io/v1, EndpointConditions).
    return any(
        one.get("addresses") and (one.get("conditions") or {}).get("ready") is not False
        for one in obj.get("endpoints") or []
    )


def dns(stage: Stage) -> list[Measurement]:
    """Lookups of a Service's name from a pod, by dnsperf: one after another, each with its own time."""
    scene, count = stage.scene, stage.profile.lookups
    main = manifests.container(["sleep", "100000"], image=BENCH)
    main["resources"]["limits"] = {"memory": "64Mi"}  # dnsperf has room for 65,536 questions
    try:
        pod = stage.one_pod("asker", stage.pod_spec(main))
        scene.clock.start(60 + count * stage.pace)
        said = scene.exec(
            pod,
            f"server=$(sed -n 's/^nameserver //p' /etc/resolv.conf | head -n 1); yes '{_NAME} A' | head -n {count} | "
            f"dnsperf -v -s $server -q 1 -c 1 -T 1 -t 5",
        )
    except (CommandFailed, TimedOut) as error:
        raise NodiskError(f"{error.message.splitlines()[0]}; {IMAGE_ASKED}") from error
    return [dns_measure(said, count)]


def dns_measure(said: str, count: int) -> Measurement:
    """From what ``dnsperf -v`` prints for ``count`` lookups. Pure. What failed or had no answer is lost, not timed."""
    times = tuple(float(found) * 1000 for found in _ANSWERED.findall(said))
    if not times:
        return Measurement("dns_p99", None, note="no lookup was answered", lost=count)
    found = summary(times)
    note = f"median {found.median:.2f} ms; dnsperf, one lookup after another"
    return Measurement("dns_p99", found.p99, len(times), (Series({}, times),), note, count - len(times))
