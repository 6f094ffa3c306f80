"""The list of checks, in the order in which they run: what later ones rely on comes first."""

from __future__ import annotations

from nodisk.verify.checks import access, clocks, isolation, network, nodes, pods, rights, workloads
from nodisk.verify.core import Check

CHECKS: tuple[Check, ...] = (
    Check(
        "nodes",
        "every machine of lab.yaml is a Ready node of the right name, role, version and address",
        15,
        nodes.nodes,
        phase=0,
    ),
    Check(
        "certificates",
        "every kubelet answers with a valid certificate of this lab",
        10,
        nodes.certificates,
        phase=0,
    ),
    Check("registry", "the server's registry serves the project's image", 5, pods.registry, phase=0),
    Check("pods", "a DaemonSet runs a pod on every node", 40, pods.everywhere, phase=0),
    Check(
        "cron", "a CronJob's own schedule starts a Job", 100, workloads.cron, quick=False, prepare=workloads.schedule
    ),
    Check("pull", "every node pulls an image through the server's registry", 30, pods.pull),
    Check("pod-network", "a pod on each node reaches the pod on each other node", 25, network.pods),
    Check("service", "a Service's cluster IP answers from every node", 25, network.service),
    Check("node-port", "a NodePort answers through every node, from outside the cluster", 20, network.node_port),
    Check("dns", "pods find Services by name", 15, network.dns),
    Check("access", "logs, exec and port-forward reach a pod on every node", 25, access.access),
    Check("rights", "students can't leave their namespace; no binding gives a student more", 45, rights.rights),
    Check("isolation", "a student's pod can't reach another student's, on any node", 120, isolation.apart),
    Check("job", "a Job completes, and so does one made from a CronJob", 30, workloads.job),
    Check("rollout", "a Deployment rolls out, rolls back and scales", 60, workloads.rollout),
    Check("clock", "every machine's clock agrees with the server's", 25, clocks.clocks, prepare=clocks.watch),
    Check("drain", "a node is drained of this run's pods and uncordoned", 60, workloads.drain, quick=False, phase=2),
    Check(
        "volume",
        "a StatefulSet's volume survives its pod's move to another node",
        90,
        workloads.volume,
        quick=False,
        phase=3,
    ),
    Check("leftovers", "nothing that this run created is left", 60, pods.leftovers, phase=4),
)
"""Limits are for a healthy cluster of PCs. Prerequisites come first; checks that cordon a node run alone, last."""
