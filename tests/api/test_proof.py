"""The proof of a cluster where an earlier proof's namespace is still going."""

from __future__ import annotations

import threading
import time

from nodisk.kube.client import Client
from nodisk.machines import proof


def test_the_namespace_of_an_earlier_proof_is_waited_for(client: Client) -> None:
    """A power cut amid a proof leaves its namespace terminating until its pods' machines are back."""
    held = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": proof.NAMESPACE, "finalizers": ["test.internal/held"]},
    }
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": proof.NAMESPACE}})
    client.apply(held)
    proof.remove(client)
    old = client.get("v1", "Namespace", proof.NAMESPACE)["metadata"]
    assert "deletionTimestamp" in old

    def let_go() -> None:
        client.patch("v1", "ConfigMap", "held", {"metadata": {"finalizers": None}}, namespace=proof.NAMESPACE)

    began = time.monotonic()
    timer = threading.Timer(2, let_go)
    timer.start()
    try:
        with proof.deployed(client, 2):
            assert time.monotonic() - began >= 2
            assert client.get("v1", "Namespace", proof.NAMESPACE)["metadata"]["uid"] != old["uid"]
            assert client.get("v1", "Service", proof.NAME, namespace=proof.NAMESPACE)["spec"]["type"] == "NodePort"
    finally:
        timer.join()
