"""Every measure: its name, exact definition, unit, and what it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Judge(StrEnum):
    """Who set the threshold, and whether missing it fails the run."""

    OFFICIAL = "official"  # one of Kubernetes' scalability SLOs: a miss fails the run
    CORRECT = "correctness"  # any other value is a fault and fails the run
    OURS = "ours"  # this project's own expectation: shown, never fails the run
    BASELINE = "baseline"  # only compared with earlier runs


class Better(StrEnum):
    """Which direction is an improvement."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Definition:
    """What a measure is. ``threshold`` is in ``unit``."""

    name: str
    title: str
    what: str
    unit: str
    judge: Judge = Judge.BASELINE
    threshold: float | None = None
    better: Better = Better.LOWER
    group: str = ""
    """The part of the bench that measures it, and its name for ``--only``."""


_LOAD = "under the stated load, from the API server's own histogram, before and after subtracted"

DEFINITIONS = (
    Definition(
        "boot_to_ready",
        "Boot: power-on → Ready",
        "from a machine's first event of its newest boot until its node is Ready;"
        " n = machines; the maximum is when all were up",
        "s",
        group="boot",
    ),
    Definition(
        "boot_phase",
        "Boot by stage",
        "the time from one recorded stage to the next, by stage; n = machines",
        "s",
        group="boot",
    ),
    Definition(
        "boot_serve_rate",
        "Server's rate while booting",
        "bytes loaded by all machines that booted at the same time, divided by the time from the first one's"
        " kernel to the last one's os; with the share of the link's speed where the NIC reports it",
        "MB/s",
        better=Better.HIGHER,
        group="boot",
    ),
    Definition(
        "api_mutating_p99",
        "API: writes, p99",
        f"POST, PUT, PATCH, DELETE by resource, {_LOAD}; the worst resource",
        "s",
        Judge.OFFICIAL,
        1.0,
        group="api",
    ),
    Definition(
        "api_get_p99",
        "API: one object, p99",
        f"GET of one object by resource, {_LOAD}; the worst resource",
        "s",
        Judge.OFFICIAL,
        1.0,
        group="api",
    ),
    Definition(
        "api_list_p99",
        "API: lists, p99",
        f"LIST by resource, {_LOAD}; the worst resource",
        "s",
        Judge.OFFICIAL,
        30.0,
        group="api",
    ),
    Definition(
        "pod_start_p99",
        "Pod start, image present, p99",
        "from sending a pod's create request until the watch shows all its"
        " containers running; both by this host's clock, one watch client; pods one after another at the stated rate",
        "s",
        Judge.OFFICIAL,
        5.0,
        group="pods",
    ),
    Definition(
        "pod_start_cold",
        "Pod start, image absent",
        "the same with an image that no node has (made for this run; its size is stated)",
        "s",
        group="cold",
    ),
    Definition(
        "pod_throughput",
        "Pods started together",
        "a burst of N pods: N divided by the time from the first request until all run",
        "pods/s",
        better=Better.HIGHER,
        group="burst",
    ),
    Definition(
        "density",
        "Pods per node",
        "the share of min(110, 10 × cores) pods per node that run, on all nodes at once",
        "%",
        Judge.OURS,
        100.0,
        Better.HIGHER,
        group="density",
    ),
    Definition(
        "net_tcp",
        "Network: TCP",
        "throughput of one and of four streams, by path; MTU stated",
        "Mbit/s",
        better=Better.HIGHER,
        group="net",
    ),
    Definition("net_rtt", "Network: round trip", "ICMP echo, by path", "ms", group="net"),
    Definition(
        "pod_network_share",
        "Pod–pod of node–node",
        "one stream between pods on two nodes, divided by one between the nodes",
        "%",
        Judge.OURS,
        90.0,
        Better.HIGHER,
        group="net",
    ),
    Definition(
        "svc_program_p99",
        "Service programmed, p99",
        "from the watch showing a Service's first endpoint until an HTTP request through"
        " its NodePort is answered, on each node; both by this host's clock",
        "s",
        group="svc",
    ),
    Definition("dns_p99", "DNS lookup, p99", "a lookup of a Service's name from a pod", "ms", group="dns"),
    Definition(
        "datastore_fsync_p99",
        "etcd: fsync, p99",
        "etcd_disk_wal_fsync_duration_seconds, before and after the whole run subtracted",
        "s",
        Judge.OURS,
        0.010,
        group="etcd",
    ),
    Definition(
        "class_create",
        "A class of 30",
        "from the command until the first call with each student's credential succeeds; the class is then removed",
        "s",
        group="class",
    ),
    Definition(
        "memory_at_ready",
        "RAM at Ready",
        "each machine's RAM by kind, as it reported when it was Ready; the value is the least available on any machine",
        "MiB",
        better=Better.HIGHER,
        group="memory",
    ),
    Definition(
        "memory_of_budget",
        "RAM at Ready, of its budget",
        "RAM that a machine used at Ready, divided by what the RAM budget (nodisk check) expects; the worst machine",
        "%",
        Judge.OURS,
        100.0,
        group="memory",
    ),
    Definition(
        "health",
        "Health during the run",
        "changes of nodes' Ready condition while measuring, and container restarts, OOM kills and evictions of bench's"
        " own pods and kube-system's; other pods are shown and not counted",
        "events",
        Judge.CORRECT,
        0.0,
        group="health",
    ),
)

BY_NAME = {one.name: one for one in DEFINITIONS}
GROUPS = tuple(dict.fromkeys(one.group for one in DEFINITIONS))
"""The values of ``--only``, in the order in which they are measured."""
