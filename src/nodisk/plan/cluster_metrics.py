"""The objects by which ``kubectl top`` finds the lab's server as the cluster's ``metrics.k8s.io``. Pure.

The server has no pod, so its Service has no selector, and its Endpoints are the server's address: as ``cluster_dns``.
"""

from __future__ import annotations

import base64
from typing import Any

from nodisk import ports
from nodisk.pki.profiles import METRICS_HOST, METRICS_USER
from nodisk.spec.model import Lab

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NAME, NAMESPACE, _ = METRICS_HOST.split(".")
API_SERVICE = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "name": f"{VERSION}.{GROUP}"}
_HTTPS = 443
_RBAC = "rbac.authorization.k8s.io"


def objects(lab: Lab, ca_pem: bytes) -> list[dict[str, Any]]:
    """What to apply, in this order; ``ca_pem`` is the authority of the server's certificate.

    The APIService comes last: as soon as it is there, the API server asks.
    """
    meta = {"name": NAME, "namespace": NAMESPACE}
    subset = {
        "addresses": [{"ip": str(lab.network.server)}],
        "ports": [{"name": "https", "protocol": "TCP", "port": ports.METRICS}],
    }
    port = {"name": "https", "protocol": "TCP", "port": _HTTPS, "targetPort": ports.METRICS}
    service = {
        "group": GROUP,
        "version": VERSION,
        "service": {"name": NAME, "namespace": NAMESPACE, "port": _HTTPS},
        "caBundle": base64.b64encode(ca_pem).decode(),
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]},
        _role(METRICS_USER, [{"apiGroups": [""], "resources": ["nodes/stats"], "verbs": ["get"]}]),
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": METRICS_USER},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": METRICS_USER},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": METRICS_USER}],
        },
        readers(),
        {
            "apiVersion": API_SERVICE["apiVersion"],
            "kind": API_SERVICE["kind"],
            "metadata": {"name": API_SERVICE["name"]},
            "spec": service,
        },
    ]


def readers() -> dict[str, Any]:
    """Whoever may view, edit or administer a namespace may see what its pods use; nobody of a class sees nodes.

    The built-in roles take it in by its labels, and the students' roles are copies of those.
    """
    labels = {f"{_RBAC}/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")}
    rules = [{"apiGroups": [GROUP], "resources": ["pods"], "verbs": ["get", "list"]}]
    return _role(f"{METRICS_USER}-readers", rules, labels)


def _role(name: str, rules: list[dict[str, Any]], labels: dict[str, str] | None = None) -> dict[str, Any]:
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}
