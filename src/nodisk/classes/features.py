"""What this cluster's release can do for classes, asked once for whatever is rendered from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from nodisk.classes.record import Role
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import NotFound
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.values import KubeVersion

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Features:
    """What this cluster's release can do that classes make use of."""

    version: KubeVersion
    admission_policy: str | None
    """The API version of ValidatingAdmissionPolicy; None: the release has none."""
    pod_security: bool
    """PodSecurity admission: pods that would own the node are refused."""
    names_namespaces: bool
    """Every namespace has a label with its name, so a policy can mean kube-system."""
    rules: Mapping[str, Sequence[Mapping[str, Any]]]
    """The rules of the built-in ClusterRoles as they are now, with those of add-ons; by ``record.Role``."""


def features(client: Client) -> Features:
    """Ask the cluster what its release can do."""

    def rules(role: str) -> list[Object]:
        def aggregated() -> Object | None:
            found = _there(client, f"{RBAC}/v1", "ClusterRole", role)
            return found if found and found.get("rules") else None

        what = f"the rules of the ClusterRole {role}, which the controller manager puts together"
        return list(client.until(what, aggregated)["rules"])

    version = client.version()
    versions = [f"admissionregistration.k8s.io/{v}" for v in ("v1", "v1beta1")]
    namespace = client.until("the namespace kube-system", lambda: _there(client, "v1", "Namespace", "kube-system"))
    roles = get_args(Role)
    return Features(
        version=version,
        admission_policy=client.first_supported("ValidatingAdmissionPolicy", versions),
        # An admission plugin is in no list of the API; it is on by default from 1.23.
        pod_security=version >= KubeVersion(1, 23),
        names_namespaces="kubernetes.io/metadata.name" in namespace["metadata"].get("labels", {}),
        rules=dict(zip(roles, all_or_raise(in_parallel(rules, roles)), strict=True)),
    )


def _there(client: Client, api_version: str, kind: str, name: str) -> Object | None:
    try:
        return client.get(api_version, kind, name)
    except NotFound:
        return None


def missing(found: Features) -> list[str]:
    """List what this release can't do for a class, one sentence each."""
    said = []
    if not found.pod_security:
        said.append(
            f"Kubernetes {found.version} has no PodSecurity admission: "
            "a student can run privileged pods, and so own a node"
        )
    if found.admission_policy is None:
        said.append(
            f"Kubernetes {found.version} has no ValidatingAdmissionPolicy: Services with externalIPs and probes of "
            "other hosts are not refused; only the students' roles protect managed objects, and only a secret path "
            "protects students' storage"
        )
    return said
