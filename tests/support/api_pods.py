"""Pods of a real API server that no kubelet runs."""

from __future__ import annotations

from nodisk.kube.client import Client


def pod(client: Client, space: str, name: str, node: str, address: str, **labels: str) -> None:
    """One that kubelet says runs at that address."""
    meta = {"name": name, "namespace": space, "labels": labels}
    container = {"name": "one", "image": "none"}
    spec = {
        "nodeName": node,
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
    }
    client.until("the default account", lambda: client.list("v1", "ServiceAccount", namespace=space))
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    path = client.path("v1", "Pod", name, namespace=space, subresource="status")
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    client.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
