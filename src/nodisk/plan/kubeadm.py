"""kubeadm's configuration, by release, and the phases that a stateless control plane runs.

The cluster's CA and etcd are on the server, so kubeadm runs in its external-CA and external-etcd modes. Certificates
and kubeconfigs come from enrolment, so only the remaining phases run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodisk import ports
from nodisk.plan import kubelet, network
from nodisk.plan.documents import documents
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_kubernetes import PodNetwork
from nodisk.values import KubeVersion

PKI = kubelet.PKI

_PATIENCE = "10m0s"


@dataclass(frozen=True, slots=True)
class Election:
    """How controllers and schedulers elect the one that acts; in seconds (client-go, ``leaderelection``)."""

    lease: int
    """A candidate that has not seen the leader renew its lease for so long may take it."""
    renew: int
    """A leader that could not renew it for so long ends itself; less than any other's ``lease``, or two act at once."""
    retry: int
    """Between two attempts; of those who wait, up to 2.2 times that."""

    def args(self) -> dict[str, str]:
        """Arguments of kube-controller-manager and kube-scheduler, without the dashes."""
        return {
            "leader_elect": "true",
            "leader_elect_lease_duration": f"{self.lease}s",
            "leader_elect_renew_deadline": f"{self.renew}s",
            "leader_elect_retry_period": f"{self.retry}s",
        }

    def words(self) -> str:
        """For the machine's script ``controllers``."""
        return f"{self.lease} {self.renew} {self.retry}"


SEVERAL = Election(12, 9, 1)
"""Another's controllers act at most 12 + 2 * 2.2 seconds after a leader lost power. An API that pauses for longer than
9 seconds costs one change of leader."""
ALONE = Election(180, 150, 5)
"""With one control plane there is nobody who could take over, so an end only costs time. The API server gives up a
request after 60 seconds: two such in a row are borne. A new process waits up to 180 seconds for what its crashed
predecessor held; after a reboot the machine itself takes its old lease away."""
EMULATED = Election(60, 45, 5)
"""Several, in QEMU without KVM, where everything takes ten times as long."""


def api_version(version: KubeVersion) -> str:
    """v1beta2 for 1.20 and 1.21, v1beta3 from 1.22, v1beta4 from 1.31."""
    if version.line < (1, 22):
        return "kubeadm.k8s.io/v1beta2"
    return "kubeadm.k8s.io/v1beta3" if version.line < (1, 31) else "kubeadm.k8s.io/v1beta4"


def phases(facts: Facts) -> tuple[str, ...]:
    """Phases of ``kubeadm init`` to run once the API answers; words joined by commas.

    Not run: preflight, certs, kubeconfig, kubelet-start (the enrolment and Ignition do these), bootstrap-token (nobody
    joins by token), addon kube-proxy (a host service).
    """
    dns = ("addon,coredns",) if facts.release.has_dns else ()
    return ("mark-control-plane", "upload-config,all", *dns)


def config(lab: Lab, facts: Facts, machine: Machine) -> str:
    """InitConfiguration and ClusterConfiguration as YAML."""
    version, election = facts.release.version, SEVERAL.args()

    def component(**args: str) -> dict[str, Any]:
        return {"extraArgs": _args(version, {name.replace("_", "-"): value for name, value in args.items()})}

    init: dict[str, Any] = {
        "apiVersion": api_version(version),
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": str(machine.address), "bindPort": ports.API},
        "nodeRegistration": {
            "name": str(machine.name),
            "criSocket": kubelet.SOCKET if version.line >= (1, 24) else kubelet.SOCKET.removeprefix("unix://"),
            "taints": kubelet.as_objects(kubelet.taints(machine, version)),
        },
    }
    cluster: dict[str, Any] = {
        "apiVersion": api_version(version),
        "kind": "ClusterConfiguration",
        "clusterName": str(lab.name),
        "kubernetesVersion": f"v{version}",
        "controlPlaneEndpoint": f"{lab.network.server}:{ports.API}",
        "certificatesDir": PKI,
        "networking": {
            "dnsDomain": network.CLUSTER_DOMAIN,
            "serviceSubnet": str(lab.kubernetes.services),
            # With `routed` every machine's range is fixed by lab.yaml: no allocator runs that could disagree.
            **({} if lab.kubernetes.network is PodNetwork.ROUTED else {"podSubnet": str(lab.kubernetes.pods)}),
        },
        "etcd": {
            "external": {
                "endpoints": [f"https://{lab.network.server}:{ports.ETCD}"],
                "caFile": f"{PKI}/etcd-ca.crt",
                "certFile": f"{PKI}/apiserver-etcd-client.crt",
                "keyFile": f"{PKI}/apiserver-etcd-client.key",
            }
        },
        "apiServer": component(
            kubelet_certificate_authority=f"{PKI}/ca.crt",
            profiling="false",
            # Up to 1.24 its histograms take a sample for each millisecond of the clock: 290 of 610 ms in a profile of
            # an idle server, and more than an emulated one that is busy can catch up with.
            **({"enable_priority_and_fairness": "false"} if facts.emulated and version.line < (1, 25) else {}),
        ),
        "controllerManager": component(
            # The CA's key is on the server: the cluster signs nothing.
            cluster_signing_cert_file="",
            cluster_signing_key_file="",
            profiling="false",
            **election,
        ),
        "scheduler": component(profiling="false", **election),
    }
    # The startup probe's patience comes from this: an API server that is slow to start must not be killed for it.
    if version.line < (1, 31):
        cluster["apiServer"]["timeoutForControlPlane"] = _PATIENCE
    else:
        init["timeouts"] = {"controlPlaneComponentHealthCheck": _PATIENCE}
    if repository := image_repository(facts):
        cluster["imageRepository"] = repository
    return documents(init, cluster)


def image_repository(facts: Facts) -> str | None:
    """Registry and path of the control plane's images, as the release names them."""
    names = (image.name for image in facts.release.images if "/kube-apiserver:" in image.name)
    return next((name.rpartition("/")[0] for name in names), None)


def control_plane_images(facts: Facts) -> tuple[str, ...]:
    """The images of the static pods."""
    parts = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "pause")
    return tuple(image.name for image in facts.release.images if any(f"/{part}:" in image.name for part in parts))


def _args(version: KubeVersion, args: Mapping[str, str]) -> Any:
    """Extra arguments: a mapping to v1beta3, a list of names and values from v1beta4."""
    if version.line < (1, 31):
        return dict(args)
    return [{"name": name, "value": value} for name, value in sorted(args.items())]
