"""The objects that verify and bench create. Pure. All pods run the project's own image from the server's registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodisk.assets.container_images import ECHO, ECHO_PORT

Object = dict[str, Any]

LABEL = "nodisk/temporary"
"""Label of everything that verify and bench create: the next run finds what a killed one left."""
RUN_LABEL = "nodisk/run"
CORDONED = "nodisk/cordoned-by"
"""Annotation of a node that a check cordoned; the next run uncordons it."""
LIFETIME = 3 * 3600
"""Seconds after which a single pod or a Job ends if its run was killed."""
EVERYWHERE = [{"operator": "Exists"}]


def namespace(name: str, purpose: str, run: str, *, privileged: bool = False) -> Object:
    """A namespace of one run; ``privileged`` admits pods on the host's network."""
    level = "privileged" if privileged else "baseline"
    labels = {LABEL: purpose, RUN_LABEL: run, "pod-security.kubernetes.io/enforce": level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def meta(name: str, space: str, labels: dict[str, str] | None = None) -> Object:
    """Metadata of a namespaced object."""
    return {"name": name, "namespace": space, "labels": labels or {"app": name}}


def container(command: Sequence[str] = (), *, image: str = ECHO, pull: str = "IfNotPresent") -> Object:
    """The echo server, or the image's tools with ``command``."""
    env = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName", "POD_IP": "status.podIP"}
    found: Object = {
        "name": "main",
        "image": image,
        "imagePullPolicy": pull,
        "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in env.items()],
        "resources": {"requests": {"cpu": "5m", "memory": "4Mi"}, "limits": {"memory": "32Mi"}},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
    }
    if command:
        return found | {"command": list(command)}
    ready = {"tcpSocket": {"port": ECHO_PORT}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 30}
    return found | {"ports": [{"containerPort": ECHO_PORT, "protocol": "TCP"}], "readinessProbe": ready}


def pod_spec(main: Object, *, everywhere: bool = False, **more: Any) -> Object:
    """A pod with one container; ``everywhere``: on tainted nodes, too."""
    spec: Object = {
        "containers": [main],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "enableServiceLinks": False,
        "tolerations": EVERYWHERE if everywhere else [],
    }
    return spec | more


def _template(name: str, spec: Object) -> Object:
    return {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
    }


def pod(name: str, space: str, spec: Object, labels: dict[str, str] | None = None) -> Object:
    """A single pod."""
    body = spec | {"activeDeadlineSeconds": LIFETIME}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta(name, space, labels), "spec": body}


def daemon_set(name: str, space: str, spec: Object) -> Object:
    """A pod on every node."""
    update = {"rollingUpdate": {"maxUnavailable": "100%"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": meta(name, space),
        "spec": _template(name, spec) | {"updateStrategy": update},
    }


def deployment(name: str, space: str, spec: Object, replicas: int) -> Object:
    """A Deployment of ``replicas`` pods."""
    body = _template(name, spec) | {"replicas": replicas, "progressDeadlineSeconds": 600}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name, space), "spec": body}


def stateful_set(name: str, space: str, spec: Object, storage: Object) -> Object:
    """One pod; ``storage`` is what ``claim_template`` or ``claimed`` gives: the volume ``data``."""
    template = _template(name, spec | storage.get("pod", {}))
    body = template | {"replicas": 1, "serviceName": name} | storage.get("set", {})
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta(name, space), "spec": body}


def claim_template(storage_class: str) -> Object:
    """A new claim of 16 Mi per pod."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "16Mi"}},
    }
    return {"set": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": spec}]}}


def claimed(claim: str) -> Object:
    """An existing claim."""
    return {"pod": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}}


def service(name: str, space: str, *, app: str | None, node_port: bool = False, port: int = 80) -> Object:
    """A Service for the pods of ``app`` (None: for none yet)."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(name, space),
        "spec": {
            "type": "NodePort" if node_port else "ClusterIP",
            "selector": {"app": app if app is not None else f"{name}-nothing"},
            "ports": [{"port": port, "targetPort": ECHO_PORT, "protocol": "TCP"}],
        },
    }


def job_spec(command: Sequence[str]) -> Object:
    """The spec of a Job that runs once."""
    spec = pod_spec(container(command), restartPolicy="Never")
    return {
        "backoffLimit": 2,
        "activeDeadlineSeconds": LIFETIME,
        "template": {"metadata": {"labels": {"app": "job"}}, "spec": spec},
    }
