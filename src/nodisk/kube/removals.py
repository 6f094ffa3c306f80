"""Which versions of built-in APIs a release of Kubernetes no longer serves, and who still uses them.

The table is of Kubernetes' deprecation guide (kubernetes.io/docs/reference/using-api/deprecation-guide), from 1.20 on.
It has kinds that people write. What programs write (events, leases), what is never stored (reviews), and what a release
that is newer than the table removes, shows in the API server's own metric, ``requested``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from nodisk.errors import NodiskError
from nodisk.kube.client import Client
from nodisk.values import KubeVersion

METRIC = "apiserver_requested_deprecated_apis"
"""A gauge of 1 for every deprecated API that was asked for since the API server's start (1.19 and later)."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SYSTEM = ("nodisk", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "api-priority-and-fairness-")
"""Field managers that follow the release: each writes what its own release serves."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Kinds that a release no longer serves in one API version."""

    release: tuple[int, int]
    api_version: str
    kinds: tuple[str, ...]
    instead: str | None
    """The API version that still has them; None: the kind is gone."""


TABLE = (
    Removal(
        (1, 22),
        "admissionregistration.k8s.io/v1beta1",
        ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        "admissionregistration.k8s.io/v1",
    ),
    Removal((1, 22), "apiextensions.k8s.io/v1beta1", ("CustomResourceDefinition",), "apiextensions.k8s.io/v1"),
    Removal((1, 22), "apiregistration.k8s.io/v1beta1", ("APIService",), "apiregistration.k8s.io/v1"),
    Removal((1, 22), "certificates.k8s.io/v1beta1", ("CertificateSigningRequest",), "certificates.k8s.io/v1"),
    Removal((1, 22), "extensions/v1beta1", ("Ingress",), "networking.k8s.io/v1"),
    Removal((1, 22), "networking.k8s.io/v1beta1", ("Ingress", "IngressClass"), "networking.k8s.io/v1"),
    Removal(
        (1, 22),
        "rbac.authorization.k8s.io/v1beta1",
        ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
        "rbac.authorization.k8s.io/v1",
    ),
    Removal((1, 22), "scheduling.k8s.io/v1beta1", ("PriorityClass",), "scheduling.k8s.io/v1"),
    Removal((1, 22), "storage.k8s.io/v1beta1", ("CSIDriver", "StorageClass"), "storage.k8s.io/v1"),
    Removal((1, 25), "autoscaling/v2beta1", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
    Removal((1, 25), "batch/v1beta1", ("CronJob",), "batch/v1"),
    Removal((1, 25), "node.k8s.io/v1beta1", ("RuntimeClass",), "node.k8s.io/v1"),
    Removal((1, 25), "policy/v1beta1", ("PodDisruptionBudget",), "policy/v1"),
    Removal((1, 25), "policy/v1beta1", ("PodSecurityPolicy",), None),
    Removal((1, 26), "autoscaling/v2beta2", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
    Removal(
        (1, 26),
        "flowcontrol.apiserver.k8s.io/v1beta1",
        ("FlowSchema", "PriorityLevelConfiguration"),
        "flowcontrol.apiserver.k8s.io/v1beta3",
    ),
    Removal(
        (1, 29),
        "flowcontrol.apiserver.k8s.io/v1beta2",
        ("FlowSchema", "PriorityLevelConfiguration"),
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    Removal(
        (1, 32),
        "flowcontrol.apiserver.k8s.io/v1beta3",
        ("FlowSchema", "PriorityLevelConfiguration"),
        "flowcontrol.apiserver.k8s.io/v1",
    ),
)


@dataclass(frozen=True, slots=True)
class Requested:
    """A deprecated API that somebody asked the API server for since it started."""

    api_version: str
    resource: str
    """With the subresource, if one was asked for: ``ingresses/status``."""
    removed: tuple[int, int]
    """The release that no longer serves it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that was last written in an API version that goes."""

    removal: Removal
    kind: str
    name: str
    """With its namespace, if it has one: ``room-3/web``."""


def between(running: KubeVersion, wanted: KubeVersion) -> tuple[Removal, ...]:
    """What goes on the way from one release to another."""
    return tuple(one for one in TABLE if running.line < one.release <= wanted.line)


def requested(text: str) -> list[Requested]:
    """Read ``METRIC`` of an API server's ``/metrics``; raises NodiskError for what isn't Prometheus' text format.

    APIs of which no removal is announced are left out.
    """
    wanted = "\n".join(line for line in text.splitlines() if line.startswith((METRIC, f"# TYPE {METRIC} "))) + "\n"
    found: set[Requested] = set()
    try:
        for family in text_string_to_metric_families(wanted):
            for sample in family.samples:
                labels = sample.labels
                if sample.name == METRIC and sample.value and labels.get("removed_release"):
                    group, version = labels.get("group", ""), labels["version"]
                    names = (labels["resource"], labels.get("subresource", ""))
                    removed = KubeVersion.parse(labels["removed_release"]).line
                    api_version = f"{group}/{version}" if group else version
                    found.add(Requested(api_version, "/".join(filter(None, names)), removed))
    except (ValueError, KeyError) as error:
        raise NodiskError(f"the API server's metrics can't be read: {error}") from error
    return sorted(found, key=lambda one: (one.removed, one.api_version, one.resource))


def ask(client: Client) -> list[Requested]:
    """What one API server was asked for since its start; with several of them, of the one that answers."""
    return requested(client.request("GET", "/metrics", accept="text/plain").text)


def stored(client: Client, removals: tuple[Removal, ...]) -> Iterator[Stored]:
    """Objects whose writers still use what goes.

    The API server converts what it stores, so the objects themselves stay; the manifests that they were made of, and
    the programs that wrote them, stop working. Objects of a kind that goes altogether are all of them.
    """
    for removal in removals:
        for kind in removal.kinds:
            served = client.first_supported(kind, [*filter(None, [removal.instead]), removal.api_version])
            for item in client.list(served, kind, metadata_only=True) if served else ():
                meta = item["metadata"]
                if _wrote(meta, removal):
                    yield Stored(removal, kind, "/".join(filter(None, (meta.get("namespace"), meta["name"]))))


def _wrote(meta: Mapping[str, Any], removal: Removal) -> bool:
    """Whether somebody who doesn't follow the release wrote an object in the API version that goes."""
    if removal.instead is None:
        return True
    fields = meta.get("managedFields") or []
    by = {one.get("manager", "") for one in fields if one.get("apiVersion") == removal.api_version}
    if any(not manager.startswith(_SYSTEM) for manager in by):
        return True
    try:
        applied = json.loads((meta.get("annotations") or {}).get(_APPLIED, "{}"))
    except ValueError:
        return False
    return isinstance(applied, dict) and applied.get("apiVersion") == removal.api_version
