"""What an identity may do, asked without doing it."""

from __future__ import annotations

from nodisk.kube.client import Client
from nodisk.kube.errors import Forbidden, Unauthorized

REFUSALS = (Forbidden, Unauthorized)


def allowed(
    client: Client, verb: str, resource: str, *, group: str = "", namespace: str = "", subresource: str = ""
) -> bool:
    """By a SelfSubjectAccessReview."""
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes | {"namespace": namespace}},
    }
    path = client.path("authorization.k8s.io/v1", "SelfSubjectAccessReview")
    return bool(client.json("POST", path, body=body, idempotent=True)["status"]["allowed"])


def refused(client: Client, namespace: str, *, how: type[Exception] | tuple[type[Exception], ...] = REFUSALS) -> bool:
    """Whether it may not list a namespace's pods: it has no right there, or nobody believes any more who it is."""
    try:
        client.list("v1", "Pod", namespace=namespace)
    except how:
        return True
    return False
