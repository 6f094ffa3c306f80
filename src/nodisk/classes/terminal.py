"""A student's terminal at the door: the pod in which its shell runs, and the way to the API server for it. Pure.

The pod is the student's own: made with their rights, in their namespace, within their quota. No secret is in it; the
key for its kubectl is written into its memory once it runs (``console.terminal_pods``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nodisk import ports
from nodisk.assets.terminal_image import KEY_FOLDER, TERMINAL, USER
from nodisk.classes.manifests import CLAIM, CLASS, MANAGED, STUDENT, Networks
from nodisk.classes.record import Account, Class
from nodisk.classes.sizes import Size, amount
from nodisk.kube.client import Object
from nodisk.kube.objects import is_ready

NAME = "terminal"
"""The pod's name; each student has one."""
LABEL = "nodisk.dev/terminal"
LABELS = {LABEL: "door"}
POLICY = "nodisk-terminal"
MEMORY = Decimal(96 * 2**20)
"""Bytes for a shell, an editor and a kubectl: on a machine a shell with an exec took 27 MiB, and kubectl takes 33."""
SHARE = Decimal("0.6")
"""Of a student's memory, the most that a terminal gets."""
CORES = Decimal(1)
"""What kubectl can use: it takes a quarter of a second of a core at each start, which a tenth of one makes seconds."""
CORES_SHARE = Decimal("0.5")
"""Of a student's cores at most, the most that a terminal gets: their other pods' limits need the rest."""
LIFE = 12 * 3600
"""Seconds after which Kubernetes ends the pod, used or not: a session of the door isn't longer."""
KEY_PATH = f"{KEY_FOLDER}/config"
SHELL = ("/bin/env", "TERM=xterm-256color", "tmux", "-u", "new-session", "-A", "-D", "-s", "door", "-c", "/home")
"""Begins a shell, or goes on with the one that is there."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a terminal takes of the quota, as Kubernetes writes it."""

    cpu: str
    cpu_burst: str
    memory: str
    ephemeral: str

    def __str__(self) -> str:
        return f"{self.cpu} of CPU, {self.memory} of memory and 1 pod"


def needs(size: Size) -> Needs:
    """What a terminal takes of the quota of a student of that size."""
    own = size.container
    most = max(min(MEMORY, amount(size.memory) * SHARE), amount(own.memory))
    memory = f"{int(most) >> 20}Mi" if most >= 2**20 else own.memory
    burst = max(min(CORES, amount(size.cpu_burst) * CORES_SHARE), amount(own.cpu_burst))
    return Needs(own.cpu, f"{int(burst * 1000)}m", memory, own.ephemeral)


def key_command(length: int) -> tuple[str, ...]:
    """Keeps a kubeconfig of so many bytes from its standard input, readable for the shell's user alone."""
    script = f'umask 077 && head -c {int(length)} >"$1.new" && mv "$1.new" "$1"'
    return ("/bin/sh", "-c", script, "sh", KEY_PATH)


def pod(record: Class, student: Account) -> Object:
    """The pod."""
    need = needs(record.size)
    same = {"memory": need.memory, "ephemeral-storage": need.ephemeral}
    home: Object = {"name": "home"}
    home |= {"persistentVolumeClaim": {"claimName": CLAIM}} if record.storage is not None else {"emptyDir": {}}
    container: Object = {
        "name": NAME,
        "image": TERMINAL,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": need.cpu, **same}, "limits": {"cpu": need.cpu_burst, **same}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "home", "mountPath": "/home"}, {"name": "key", "mountPath": KEY_FOLDER}],
    }
    spec: Object = {
        "containers": [container],
        "volumes": [home, {"name": "key", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": LIFE,
    }
    # Not labelled as nodisk's: those objects a student may neither change nor delete, and a reset leaves them.
    meta = {"name": NAME, "namespace": record.namespace(student), "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def network_policy(record: Class, student: Account, networks: Networks) -> Object:
    """Lets terminals, and no other pod, speak to the API at the lab's address, as students' own computers do."""
    api = {"to": [{"ipBlock": {"cidr": f"{networks.server}/32"}}], "ports": [{"protocol": "TCP", "port": ports.API}]}
    meta = {
        "name": POLICY,
        "namespace": record.namespace(student),
        "labels": {**MANAGED, CLASS: record.name, STUDENT: student.label},
    }
    spec: Object = {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Egress"], "egress": [api]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def is_ours(pod: Mapping[str, Any]) -> bool:
    """Whether a pod of that name is a terminal of the door."""
    meta, containers = pod["metadata"], (pod.get("spec") or {}).get("containers") or [{}]
    return (meta.get("labels") or {}).get(LABEL) == LABELS[LABEL] and containers[0].get("image") == TERMINAL


def is_over(pod: Mapping[str, Any]) -> bool:
    """Whether a pod will never run again, or is on its way out."""
    phase = (pod.get("status") or {}).get("phase")
    return bool(pod["metadata"].get("deletionTimestamp")) or phase in ("Failed", "Succeeded")


def is_unplaced(pod: Mapping[str, Any]) -> bool:
    """Whether the scheduler has found no node for it."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "PodScheduled" and one.get("status") == "False" for one in conditions)


def running(pod: Mapping[str, Any]) -> str:
    """What tells the container that runs from every other, also on the same pod; '' while none does.

    A machine that lost power comes back with the same pod and another container.
    """
    if not is_ready(pod):
        return ""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return str(statuses[0].get("containerID") or "") if statuses else ""
