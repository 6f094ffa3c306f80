"""What an identity may do, asked without doing it."""

from __future__ import annotations

from nodisk.kube.client import Client


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
