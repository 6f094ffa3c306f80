"""A made-up run with every measure in it, so that every part of the report is drawn."""

from __future__ import annotations

import random

import pytest

from nodisk.bench.measures import DEFINITIONS
from nodisk.bench.result import Measurement, Run, Series
from nodisk.bench.stats import Histogram, summary

NODES = ("cp-1", "pc-1", "pc-2", "pc-<3>")
STAGES = (
    ("dhcp", 3),
    ("ipxe", 2),
    ("kernel", 6),
    ("rootfs", 11),
    ("config", 4),
    ("os", 9),
    ("enrolled", 2),
    ("joined", 7),
)
BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def made_up(seed: int, *, slower: float = 1.0) -> Run:
    """A run with all figures multiplied by ``slower``."""
    chance = random.Random(seed)  # noqa: S311 - the same at every test

    def times(mean: float, n: int) -> tuple[float, ...]:
        return tuple(slower * chance.lognormvariate(0, 0.3) * mean for _ in range(n))

    boot = []
    for node in NODES:
        start = chance.uniform(0, 2)
        for stage, mean in STAGES:
            seconds = times(mean, 1)[0]
            boot.append(Series({"node": node, "stage": stage, "start": f"{start:.3f}"}, value=seconds))
            start += seconds
    start_series = [
        Series({"phase": phase, "node": node}, times(mean * (1.8 if node == "pc-2" else 1), 30))
        for node in NODES
        for phase, mean in (("scheduled", 0.1), ("started", 0.9), ("total", 1.2))
    ]
    api = {
        name: [
            Series({"verb": verb, "resource": resource}, histogram=Histogram.of(times(mean, 300), BUCKETS))
            for verb in verbs
            for resource in ("pods", "configmaps", "secrets")
        ]
        for name, verbs, mean in (
            ("api_mutating_p99", ("POST", "DELETE"), 0.02),
            ("api_get_p99", ("GET",), 0.01),
            ("api_list_p99", ("LIST",), 0.08),
        )
    }
    net = [
        Series({"path": path, "streams": streams}, times(rate, 9))
        for path, rate in (("node–node", 940), ("pod–pod", 905), ("pod–Service", 890), ("same node", 9000))
        for streams in ("1", "4")
    ]
    memory = [
        Series({"node": node, "kind": kind}, value=float(mib))
        for node in NODES
        for kind, mib in (("rootfs", 150), ("overlay", 20), ("images", 60), ("processes", 280), ("available", 500))
    ]
    total = [sample for one in start_series if one.labels["phase"] == "total" for sample in one.samples]
    found = {
        "boot_phase": Measurement("boot_phase", max(o.value or 0 for o in boot), 4, tuple(boot)),
        "pod_start_p99": Measurement(
            "pod_start_p99", summary(total).p99, len(total), tuple(start_series), "1 pod a second"
        ),
        **{name: Measurement(name, 0.3 * slower, 900, tuple(series), "20 calls/s") for name, series in api.items()},
        "net_tcp": Measurement("net_tcp", 905, 9, tuple(net), "iperf3, MTU 1500"),
        "net_rtt": Measurement("net_rtt", 0.4, 80, tuple(Series({"node": n}, times(0.4, 20)) for n in NODES)),
        "memory_at_ready": Measurement("memory_at_ready", 500, 4, tuple(memory)),
        "dns_p99": Measurement("dns_p99", None, note="the release has no DNS"),
        "health": Measurement("health", 0.0, 1),
        "pod_throughput": Measurement("pod_throughput", 4 / slower, 1, (Series({}, (4.0 / slower,)),)),
    }
    measures = [
        found.get(one.name, Measurement(one.name, 0.005 * slower, 8, (Series({}, times(0.005, 8)),)))
        for one in DEFINITIONS
    ]
    nodes = [
        {
            "name": node,
            "role": "control-plane" if node == "cp-1" else "worker",
            "cpus": 2,
            "ram_mib": 1024,
            "nic": "virtio",
            "mtu": 1500,
            "kernel": "6.12.9",
            "containerd": "1.7.24",
        }
        for node in NODES
    ]
    header = {
        "lab": "room-3",
        "time": f"2026-11-{seed:02d}T10:00:00+00:00",
        "profile": "quick",
        "seconds": 212.0,
        "nodisk": "0.1.0",
        "kubernetes": "1.20.2",
        "source": "debian",
        "accelerator": "tcg",
        "nodes": nodes,
        "load": "20 calls a second, 1 pod a second",
    }
    return Run(header, tuple(measures))


@pytest.fixture
def run() -> Run:
    return made_up(3)
