"""The proof that a cluster works: an HTTP echo on every worker, reached in every way that a room uses.

From outside through every node's port, from a pod on each machine to the pod on each other, and through the Service's
own address. The image is the project's, from the server's registry, so the path of an image is proved as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from nodisk import run
from nodisk.assets.container_images import ECHO, ECHO_PORT
from nodisk.assets.kubectl import kubectl_program
from nodisk.context import LabContext
from nodisk.errors import CommandFailed, NodiskError, TimedOut
from nodisk.kube.client import Client, Object, connect
from nodisk.kube.errors import ApiError, NotFound
from nodisk.values import Role

T = TypeVar("T")

NAMESPACE = "nodisk-proof"
NAME = "echo"
START_WITHIN = 300.0
"""Seconds for the pods to run: without KVM a container's start alone takes some."""
REACH_WITHIN = 60.0
"""Seconds for the Service's rules to be on every machine."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen."""

    pods: dict[str, str]
    """Node → the pod on it."""
    checks: tuple[str, ...]
    """What was reached, a sentence each."""
    seconds: float

    def to_json(self) -> dict[str, object]:
        """The form in reports."""
        return {"pods": self.pods, "checks": list(self.checks), "seconds": round(self.seconds, 1)}


def objects(workers: int, *, tolerate: bool) -> tuple[Object, ...]:
    """The namespace, the Deployment with one pod a machine, and its Service.

    ``tolerate``: run on control-plane machines, where a lab has no workers.
    """
    labels = {"app": NAME}
    env = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName", "POD_IP": "status.podIP"}
    container = {
        "name": NAME,
        "image": ECHO,
        "ports": [{"containerPort": ECHO_PORT, "protocol": "TCP"}],
        "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in env.items()],
        "readinessProbe": {"tcpSocket": {"port": ECHO_PORT}, "periodSeconds": 1, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
    }
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    pod = {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [container],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}] if tolerate else [],
    }
    meta = {"name": NAME, "namespace": NAMESPACE}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "type": "NodePort",
                "selector": labels,
                "ports": [{"port": 80, "targetPort": ECHO_PORT, "protocol": "TCP"}],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": max(1, workers),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    )


def prove(context: LabContext, *, keep: bool = False, say: Callable[[str], None] = lambda _: None) -> Proof:
    """Deploy, reach, clean up (unless ``keep``); raises TimedOut or NodiskError with what could not be reached."""
    workers = context.lab.by_role(Role.WORKER)
    with connect(context, patience=START_WITHIN, say=say) as client, deployed(client, len(workers), keep=keep) as began:
        return check(context, client, began=began, say=say)


def check(
    context: LabContext, client: Client, *, began: float | None = None, say: Callable[[str], None] = lambda _: None
) -> Proof:
    """Reach the echo that is deployed already (as after a power cut), in every way."""
    began = time.monotonic() if began is None else began
    workers = context.lab.by_role(Role.WORKER) or context.lab.machines[:1]
    pods = _running(client, [str(machine.name) for machine in workers])
    say(f"echo runs on {', '.join(sorted(pods))}")
    service = client.get("v1", "Service", NAME, namespace=NAMESPACE)["spec"]
    checks = [
        *_from_outside(context, service["ports"][0]["nodePort"]),
        *_from_inside(context, pods, service["clusterIP"]),
    ]
    for line in checks:
        say(line)
    return Proof({node: _name(pod) for node, pod in pods.items()}, tuple(checks), time.monotonic() - began)


@contextmanager
def deployed(client: Client, workers: int, *, keep: bool = False) -> Iterator[float]:
    """Deploy the echo, and take it away again unless ``keep``; gives when it began (monotonic seconds)."""
    _await_vacancy(client)
    began = time.monotonic()
    for item in objects(workers, tolerate=workers == 0):
        client.apply(item)
    try:
        yield began
    finally:
        if not keep:
            remove(client)


def _await_vacancy(client: Client) -> None:
    """Nothing can be made in a namespace that an earlier proof, cut off by a power cut, is still leaving."""
    end = time.monotonic() + START_WITHIN
    while True:
        try:
            namespace = client.get("v1", "Namespace", NAMESPACE)
        except NotFound:
            return
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        if time.monotonic() > end:
            raise TimedOut(
                f"the namespace {NAMESPACE} of an earlier proof is still being deleted after {START_WITHIN:g} seconds",
                hint=f"nodisk kubectl get namespace {NAMESPACE} -o yaml shows what holds it",
            )
        time.sleep(1)


def remove(client: Client) -> None:
    """Take the echo away again."""
    client.delete("v1", "Namespace", NAMESPACE)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _running(client: Client, nodes: list[str]) -> dict[str, Object]:
    """Node → its ready pod, once there is one on each node; a pod of before a power cut is not ready."""
    end = time.monotonic() + START_WITHIN
    while True:
        try:
            pods = client.list("v1", "Pod", namespace=NAMESPACE, labels=f"app={NAME}")
        except ApiError:  # the control plane may just be coming up
            pods = []
        ready = {pod["spec"].get("nodeName"): pod for pod in pods if _is_ready(pod)}
        if set(nodes) <= set(ready):
            return {node: ready[node] for node in nodes}
        if time.monotonic() > end:
            states = "; ".join(f"{_name(pod)}: {_state(pod)}" for pod in pods) or "no pod was made"
            raise TimedOut(
                f"echo does not run on {', '.join(sorted(set(nodes) - set(ready)))} "
                f"after {START_WITHIN:g} seconds ({states})",
                hint=f"nodisk kubectl describe pods -n {NAMESPACE}",
            )
        time.sleep(1)


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _state(pod: Object) -> str:
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        if waiting := container["state"].get("waiting"):
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()
    for one in status.get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] != "True":
            return str(one.get("message"))
    return str(status.get("phase"))


def _from_outside(context: LabContext, port: int) -> list[str]:
    """Ask every node's port from the server's side of the wire."""
    nodes = {str(machine.name): str(machine.address) for machine in context.lab.machines}

    def ask(name: str) -> str:
        url = f"http://{nodes[name]}:{port}/"
        words = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "10", url]
        answer = _until(lambda: run.run(words, netns=context.netns).stdout, f"{url} ({name}'s port) from outside")
        return f"from outside, {name}:{port} → {_field(answer, 'pod')}"

    return _all(ask, nodes)


def _from_inside(context: LabContext, pods: dict[str, Object], service: str) -> list[str]:
    """Ask, from each pod, every other pod and the Service's address."""
    addresses = {node: pod["status"]["podIP"] for node, pod in pods.items()}

    def ask(node: str) -> list[str]:
        lines = []
        targets = {f"the pod on {other}": address for other, address in addresses.items() if other != node}
        for what, address in (targets | {"the Service": service}).items():
            where = f"{address}:{ECHO_PORT}" if what != "the Service" else address
            attempt = partial(
                _exec, context, _name(pods[node]), "timeout", "10", "wget", "-q", "-O", "-", f"http://{where}/"
            )
            answer = _until(attempt, f"{what} ({where}) from the pod on {node}")
            lines.append(f"from the pod on {node}, {what} at {where} → {_field(answer, 'pod')}")
        return lines

    return [line for lines in _all(ask, pods) for line in lines]


def _exec(context: LabContext, pod: str, *words: str) -> str:
    argv: list[str | Path] = [kubectl_program(context), "--kubeconfig", context.state.admin_kubeconfig]
    argv += ["--namespace", NAMESPACE, "exec", pod, "--", *words]
    return run.run(argv, netns=context.netns, timeout=60).stdout


def _all(ask: Callable[[str], T], names: Iterable[str]) -> list[T]:
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(ask, names))


def _until(attempt: Callable[[], str], what: str) -> str:
    """The first answer that an echo gave; raises NodiskError with the last failure."""
    end = time.monotonic() + REACH_WITHIN
    while True:
        try:
            answer = attempt()
        except (CommandFailed, TimedOut) as error:
            failure = error.message
        else:
            if "pod: " in answer:
                return answer
            failure = f"another answer: {answer[:200]!r}"
        if time.monotonic() > end:
            raise NodiskError(f"{what} could not be reached: {failure}", hint=f"nodisk kubectl get all -n {NAMESPACE}")
        time.sleep(1)


def _field(answer: str, name: str) -> str:
    found = [line.partition(": ")[2] for line in answer.splitlines() if line.startswith(f"{name}: ")]
    return found[0] if found else "?"
