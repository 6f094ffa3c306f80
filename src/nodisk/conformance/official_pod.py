"""The objects with which the official image runs in the cluster, as hydrophone has them. Pure.

A pod has two containers: the suite, and one that keeps its files until they are fetched, since the suite's image has
neither a shell nor ``cat``, and nobody can look into a container that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodisk.conformance import specs
from nodisk.conformance.specs import Spec
from nodisk.conformance.suite import BEGIN, LIMIT
from nodisk.kube.client import Object
from nodisk.kube.objects import condition

NAMESPACE = "nodisk-conformance"
ACCOUNT = "conformance"
BINDING = "nodisk-conformance"
RBAC = "rbac.authorization.k8s.io/v1"
SUITE, KEEPER = "suite", "results"
"""The containers."""
FOLDER = "/tmp/results"  # noqa: S108 - in the pod, where the image's own program puts them by default
LOG, JUNIT = "e2e.log", "junit_01.xml"
GRACE = 5
"""Seconds that the suite gets to end when its pod is deleted."""
LEFT = 3600
"""Seconds after the longest run when the kubelet ends a pod by itself: whoever made it has lost power."""
_NOBODY = 65534


def surroundings() -> tuple[Object, ...]:
    """What pods of the suite need, in the order of its making: a namespace, and an account that may do everything."""
    labels = {"app.kubernetes.io/managed-by": "nodisk", "app.kubernetes.io/component": "conformance"}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": NAMESPACE, "labels": labels},
        },
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": BINDING, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        },
    )


def limit(piece: Sequence[Spec], *, procs: int, stretch: float) -> float:
    """Seconds after which a run of these specs hangs, of which ``procs`` run at once."""
    return (BEGIN + LIMIT * -(-len(piece) // procs)) * stretch


def environment(piece: Sequence[Spec], *, procs: int, stretch: float) -> dict[str, str]:
    """What the image's program (``kubeconformance``) is told: these specs and no others, so many at once.

    Ginkgo ends a run that takes too long by itself, so that there is JUnit of it. ``E2E_PARALLEL`` is not used: it
    takes as many processes as the machine has processors.
    """
    minutes = f"{30 * stretch:.0f}m"
    ginkgo = [f"--timeout={limit(piece, procs=procs, stretch=stretch):.0f}s", "-v"]
    ginkgo += [f"--procs={procs}"] if procs > 1 else []
    return {
        "E2E_FOCUS": specs.focus_of(piece),
        "E2E_SKIP": "",
        "E2E_PROVIDER": "skeleton",
        "E2E_PARALLEL": "false",
        "E2E_USE_GO_RUNNER": "true",
        "E2E_EXTRA_GINKGO_ARGS": " ".join(ginkgo),
        "E2E_EXTRA_ARGS": f"--node-schedulable-timeout={minutes} --system-pods-startup-timeout={minutes}",
        "RESULTS_DIR": FOLDER,
    }


def pod(name: str, *, image: str, keeper: str, environment: Mapping[str, str], seconds: float) -> Object:
    """A pod that runs the suite once. ``seconds``: how long that may take; ``keeper``: an image with a shell.

    It asks for no memory and no processor, so that it takes nobody's place. Its priority keeps a kubelet that runs
    short of memory from ending it first, and it bears what specs do to nodes that they empty; but on nodes that take
    no ordinary pods it has no business.
    """
    confined: Object = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": _NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    common: Object = {
        "imagePullPolicy": "IfNotPresent",
        "securityContext": confined,
        "volumeMounts": [{"name": "results", "mountPath": FOLDER}],
    }
    told = [{"name": key, "value": value} for key, value in environment.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE,
            "activeDeadlineSeconds": int(seconds) + LEFT,
            "priorityClassName": "system-cluster-critical",
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "containers": [
                {"name": SUITE, "image": image, "env": told, **common},
                {"name": KEEPER, "image": keeper, "command": ["sleep", "1000000"], **common},
            ],
            "volumes": [{"name": "results", "emptyDir": {}}],
        },
    }


class State(StrEnum):
    """How far a pod is."""

    WAITING = "waiting"
    RUNNING = "running"
    LOST = "lost"
    """Its machine doesn't answer, as far as the cluster knows."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Look:
    """What the API says of a pod."""

    state: State
    words: str = ""
    """Why it waits, or how it ended."""


def look(pod: Object) -> Look:
    """How far the pod's suite is."""
    status = pod.get("status") or {}
    containers = {one.get("name"): one.get("state") or {} for one in status.get("containerStatuses") or []}
    suite = containers.get(SUITE, {})
    if (ended := suite.get("terminated")) is not None:
        reason = ended.get("reason") or ""
        word = f", {reason}" if reason not in ("", "Completed", "Error") else ""
        return Look(State.ENDED, f"exit status {ended.get('exitCode')}{word}")
    if status.get("phase") in ("Failed", "Succeeded"):
        return Look(State.ENDED, _sentence(status) or "its pod was ended")
    if "running" not in suite:
        placed = condition(pod, "PodScheduled")
        why = _sentence(suite.get("waiting") or {}) or (_sentence(placed) if placed.get("status") == "False" else "")
        return Look(State.WAITING, why or "no machine says anything of it")
    all_run = all("running" in state for state in containers.values())
    if all_run and condition(pod, "Ready").get("status") in ("False", "Unknown"):
        return Look(State.LOST)
    return Look(State.RUNNING)


def _sentence(said: Mapping[str, object]) -> str:
    return ": ".join(str(said[key])[:300] for key in ("reason", "message") if said.get(key))
