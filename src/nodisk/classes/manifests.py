"""Every object that a class is made of, as data. Pure: a record and facts about the release in, manifests out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from nodisk import ports
from nodisk.classes.record import Account, Class
from nodisk.classes.sizes import quota
from nodisk.kube.client import Object
from nodisk.values import KubeVersion

CLASS = "nodisk.dev/class"
STUDENT = "nodisk.dev/student"
IDENTITIES = "nodisk.dev/identities"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED = {MANAGED_BY: "nodisk"}
RBAC = "rbac.authorization.k8s.io"

# Not routed on the Internet (RFC 6890): a student's pods have no business there, whatever the room's own subnet is.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")


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


@dataclass(frozen=True, slots=True)
class Networks:
    """The lab's own networks."""

    lab: IPv4Network
    pods: IPv4Network
    services: IPv4Network


def _labels(record: Class, student: Account | None = None) -> dict[str, str]:
    labels = {**MANAGED, CLASS: record.name}
    return labels if student is None else {**labels, STUDENT: student.label}


def _object(
    api_version: str, kind: str, name: str, namespace: str | None, labels: dict[str, str], **rest: object
) -> Object:
    meta: Object = {"name": name, "labels": labels}
    if namespace is not None:
        meta["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}


def student_role(record: Class) -> str:
    """The ClusterRole that the class's students are bound to."""
    return f"nodisk-student-{record.role}"


def identity_namespace(record: Class, features: Features) -> list[Object]:
    """The class's own namespace, in which nothing runs."""
    labels = _labels(record) | _pod_security("restricted", "restricted", features)
    zero = {"hard": {"pods": "0", "services": "0", "persistentvolumeclaims": "0"}}
    return [
        _object("v1", "Namespace", record.identities, None, labels),
        _object("v1", "ResourceQuota", "nodisk-identities", record.identities, _labels(record), spec=zero),
    ]


def identity(record: Class, account: Account) -> list[Object]:
    """An account's ServiceAccount, and the Secret that its token is bound to (empty: deleting it revokes the token)."""
    name, namespace = account.service_account, record.identities
    labels = _labels(record, account)
    return [
        _object("v1", "ServiceAccount", name, namespace, labels, automountServiceAccountToken=False),
        _object("v1", "Secret", f"{name}-token", namespace, labels, type="nodisk.dev/bound-token"),
    ]


def _pod_security(enforce: str, warn: str, features: Features) -> dict[str, str]:
    prefix, version = "pod-security.kubernetes.io", f"v{features.version.major}.{features.version.minor}"
    return {
        f"{prefix}/enforce": enforce,
        f"{prefix}/enforce-version": version,
        f"{prefix}/warn": warn,
        f"{prefix}/warn-version": version,
    }


def namespace(record: Class, student: Account, features: Features) -> Object:
    """The student's namespace. The pod-security labels do nothing on releases without that admission."""
    labels = _labels(record, student) | {IDENTITIES: record.identities}
    labels |= _pod_security("baseline", "restricted", features)
    return _object("v1", "Namespace", record.namespace(student), None, labels)


def access(record: Class, student: Account) -> Object:
    """The student's right; without a subject while suspended, so that it ends at once and comes back the same."""
    account = {"kind": "ServiceAccount", "name": student.service_account, "namespace": record.identities}
    return _object(
        f"{RBAC}/v1",
        "RoleBinding",
        "nodisk-student",
        record.namespace(student),
        _labels(record, student),
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": student_role(record)},
        subjects=[] if student.suspended else [account],
    )


def teachers(record: Class, student: Account) -> Object:
    """The teachers' right in a student's namespace."""
    subjects = [
        {"kind": "ServiceAccount", "name": teacher.service_account, "namespace": record.identities}
        for teacher in record.teachers
        if not teacher.suspended
    ]
    return _object(
        f"{RBAC}/v1",
        "RoleBinding",
        "nodisk-teachers",
        record.namespace(student),
        _labels(record, student),
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
        subjects=subjects,
    )


def limits(record: Class, student: Account) -> list[Object]:
    """ResourceQuota and LimitRange of a student's namespace."""
    size, name, labels = record.size, record.namespace(student), _labels(record, student)
    default = size.container
    hard = quota(size)
    if record.storage is not None:
        hard |= {"requests.storage": record.storage}
    container = {
        "type": "Container",
        "default": {"cpu": default.cpu_burst, "memory": default.memory, "ephemeral-storage": default.ephemeral},
        "defaultRequest": {"cpu": default.cpu, "memory": default.memory, "ephemeral-storage": default.ephemeral},
        "max": {"cpu": size.cpu_burst, "memory": size.memory, "ephemeral-storage": size.ephemeral},
    }
    return [
        _object("v1", "ResourceQuota", "nodisk", name, labels, spec={"hard": hard}),
        _object("v1", "LimitRange", "nodisk", name, labels, spec={"limits": [container]}),
    ]


def network_policy(record: Class, student: Account, networks: Networks, features: Features) -> Object:
    """Who may speak to a student's pods, and to whom they may speak."""
    name, labels = record.namespace(student), _labels(record, student)
    inside: Object = {"podSelector": {}}
    incoming: list[Object] = [{"from": [inside]}]
    if record.size.node_ports:
        # A NodePort's traffic arrives with the address of a node or of whoever asked; other pods stay out.
        incoming.append({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [str(networks.pods)]}}]})
    # An empty matchLabels would come back from the API server as none, and look changed at every run.
    named = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    system: Object = named if features.names_namespaces else {}
    dns = {
        "to": [{"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "ports": [{"protocol": "UDP", "port": ports.DNS}, {"protocol": "TCP", "port": ports.DNS}],
    }
    # Also where the lab's networks are such as 198.18.0.0/15: neither private nor of the Internet.
    own = (networks.lab, networks.pods, networks.services)
    closed = [*PRIVATE, *(str(n) for n in own if not any(n.subnet_of(IPv4Network(p)) for p in PRIVATE))]
    internet = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": closed}}]}
    both: Object = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    both |= {"ingress": incoming, "egress": [{"to": [inside]}, dns, internet]}
    return _object("networking.k8s.io/v1", "NetworkPolicy", "nodisk", name, labels, spec=both)


def student(record: Class, account: Account, networks: Networks, features: Features) -> list[Object]:
    """All objects of one student in the order in which they are made; the right comes last, behind every limit.

    The namespace is followed by what is elsewhere: for one that it has not heard of yet the API server waits 50 ms.
    """
    return [
        namespace(record, account, features),
        *identity(record, account),
        *limits(record, account),
        network_policy(record, account, networks, features),
        *([teachers(record, account)] if record.teachers else []),
        access(record, account),
    ]
