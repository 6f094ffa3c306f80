"""Every measure: its name, what exactly it is, its unit, and by what it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Judge(StrEnum):
    """Whose threshold it is."""

    OFFICIAL = "official"  # one of Kubernetes' scalability SLOs: missing it fails the run
    CORRECT = "correctness"  # anything else than this is a fault: it fails the run
    OURS = "ours"  # this project's own expectation: shown, never fails
    BASELINE = "baseline"  # only compared with earlier runs


class Better(StrEnum):
    """Which way is good."""

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
    """The part of the bench that measures it, and its word for ``--only``."""


_LOAD = "under the stated load, from the API server's own histogram, differenced over the load"

DEFINITIONS = (
    Definition(
        "boot_to_ready",
        "Boot: power-on → Ready",
        "a machine's first event of its newest boot until its node is Ready;"
        " n = machines; the largest is when all were up",
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
        "bytes that all machines that booted at the same time loaded, divided by the time from the first one's"
        " kernel to the last one's os; with the share of the link where the card says its speed",
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
        "a pod's create request sent → the watch shows all its"
        " containers running; both on this host's clock, one watch client; pods one after another at the stated rate",
        "s",
        Judge.OFFICIAL,
        5.0,
        group="pods",
    ),
    Definition(
        "pod_start_cold",
        "Pod start, image absent",
        "the same for an image that no node has (made for this run; its size is stated)",
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
        "the share of min(110, 10 × cores) pods a node, all nodes at once, that run",
        "%",
        Judge.OURS,
        100.0,
        Better.HIGHER,
        group="density",
    ),
    Definition(
        "net_tcp",
        "Network: TCP",
        "bytes a second of one and of four streams, by path; MTU stated. Pod–pod is judged"
        " against node–node (at least 0.9 of it)",
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
        "the watch shows a Service's first endpoint → a connection through"
        " its NodePort succeeds, on each node; both on this host's clock",
        "s",
        group="svc",
    ),
    Definition("dns_p99", "DNS lookup, p99", "a lookup of a Service's name from a pod", "ms", group="dns"),
    Definition(
        "datastore_fsync_p99",
        "etcd: fsync, p99",
        "etcd_disk_wal_fsync_duration_seconds, differenced over the whole run",
        "s",
        Judge.OURS,
        0.010,
        group="etcd",
    ),
    Definition(
        "class_create",
        "A class of 30",
        "from the command until the first call with each student's credential succeeded; removed again afterwards",
        "s",
        group="class",
    ),
    Definition(
        "memory_at_ready",
        "RAM at Ready",
        "MiB of each machine by kind, as it reported them when it was Ready; the"
        " value is the least that was available on any",
        "MiB",
        better=Better.HIGHER,
        group="memory",
    ),
    Definition(
        "memory_of_budget",
        "RAM at Ready, of its budget",
        "what a machine used at Ready, divided by what the RAM budget (nodisk check) expects; the worst machine",
        "%",
        Judge.OURS,
        100.0,
        group="memory",
    ),
    Definition(
        "health",
        "Health during the run",
        "changes of nodes' Ready condition while measuring, and container restarts, OOM kills and evictions of bench's"
        " own pods and kube-system's; other people's pods are shown and not counted",
        "events",
        Judge.CORRECT,
        0.0,
        group="health",
    ),
)

BY_NAME = {one.name: one for one in DEFINITIONS}
GROUPS = tuple(dict.fromkeys(one.group for one in DEFINITIONS))
"""The words of ``--only``, in the order of measuring."""
