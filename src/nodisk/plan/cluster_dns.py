"""The Service ``kube-dns`` as every tool expects it, where the lab's server answers in CoreDNS' place. Pure."""

from __future__ import annotations

from typing import Any

from nodisk import ports
from nodisk.errors import SpecError
from nodisk.plan import network
from nodisk.spec.model import Lab

NAMESPACE, NAME = "kube-system", "kube-dns"
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def objects(lab: Lab) -> list[dict[str, Any]]:
    """The Service, with kubeadm's labels and address, and its Endpoints: the server.

    It has no selector, so no controller changes its endpoints. The controller manager makes the EndpointSlice of these
    Endpoints, and removes it if the Service gets a selector: by a later release that does bring CoreDNS.
    """
    app = {"k8s-app": "kube-dns"}
    labels = {**app, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "KubeDNS"}
    meta = {"name": NAME, "namespace": NAMESPACE}
    service = {
        "clusterIP": str(network.dns_service(lab)),
        "ports": [
            {"name": name, "protocol": protocol, "port": ports.DNS, "targetPort": ports.NAMES}
            for name, protocol in _PORTS
        ],
    }
    subset = {
        "addresses": [{"ip": str(lab.network.server)}],
        "ports": [{"name": name, "protocol": protocol, "port": ports.NAMES} for name, protocol in _PORTS],
    }
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "labels": labels}, "spec": service},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {**meta, "labels": app}, "subsets": [subset]},
    ]


def need_own(lab: Lab, *, coredns: bool) -> None:
    """Raise SpecError where lab.yaml keeps classes' names apart and the release brings CoreDNS (``coredns``).

    lab.yaml's own rules see the source of a release, and not what is in a folder.
    """
    if lab.isolates_names and coredns:
        raise SpecError(
            "kubernetes.isolation: names can't be kept: this release brings CoreDNS, which tells every pod all names",
            hint="remove `isolation`, or the image of CoreDNS from the folder of `kubernetes.path`, and build again",
        )
