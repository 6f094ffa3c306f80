"""The parts of a class (``desired`` has the whole), as data. Pure: a record and facts in, manifests out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from nodisk import ports
from nodisk.classes.features import RBAC, Features
from nodisk.classes.record import Account, Class
from nodisk.classes.sizes import quota
from nodisk.kube.client import Object
from nodisk.spec.model import Lab
from nodisk.storage.volumes import Volume

CLASS = "nodisk.dev/class"
STUDENT = "nodisk.dev/student"
IDENTITIES = "nodisk.dev/identities"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED = {MANAGED_BY: "nodisk"}
QUOTA = "nodisk"
TEACHERS = "nodisk-teachers"
CLAIM = "home"
STORAGE_CLASS = "nodisk"
PROVISIONER = "nodisk.dev/server"
# A file may not become a device or another user's program, and 4.1 is what the server speaks at its best.
MOUNT_OPTIONS = ("nfsvers=4.1", "nosuid", "nodev", "noatime")

# Not routed on the Internet (RFC 6890): a student's pods have no business there, whatever the room's own subnet is.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")


@dataclass(frozen=True, slots=True)
class Networks:
    """The lab's own networks, which students' pods may not reach, and where the server is."""

    lab: IPv4Network
    pods: IPv4Network
    services: IPv4Network
    server: IPv4Address

    @classmethod
    def of(cls, lab: Lab) -> Networks:
        """As lab.yaml has them."""
        return cls(lab.network.subnet, lab.kubernetes.pods, lab.kubernetes.services, lab.network.server)


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


def _grant(record: Class, student: Account, name: str, role: str, who: Sequence[Account]) -> Object:
    """A right in a student's namespace; a suspended account is no subject, so the right ends at once and comes back the
    same."""
    subjects = [
        {"kind": "ServiceAccount", "name": account.service_account, "namespace": record.identities}
        for account in who
        if not account.suspended
    ]
    both: Object = {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}, "subjects": subjects}
    return _object(f"{RBAC}/v1", "RoleBinding", name, record.namespace(student), _labels(record, student), **both)


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
        _object("v1", "ResourceQuota", QUOTA, name, labels, spec={"hard": hard}),
        _object("v1", "LimitRange", "nodisk", name, labels, spec={"limits": [container]}),
    ]


def network_policy(record: Class, student: Account, networks: Networks, features: Features) -> Object:
    """Who may speak to a student's pods, and to whom they may speak."""
    name, labels = record.namespace(student), _labels(record, student)
    inside: Object = {"podSelector": {}}
    incoming: list[Object] = [{"from": [inside]}]
    if record.size.node_ports:
        # A NodePort's traffic arrives with the address of a node or of the client; other pods stay out.
        incoming.append({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [str(networks.pods)]}}]})
    # An empty matchLabels would come back from the API server as none, and look changed at every run.
    named = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    system: Object = named if features.names_namespaces else {}
    dns = {
        "to": [{"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "ports": [{"protocol": "UDP", "port": ports.DNS}, {"protocol": "TCP", "port": ports.DNS}],
    }
    # Where the release brings no CoreDNS, the lab's server answers behind the same Service.
    names: Object = {"to": [{"ipBlock": {"cidr": f"{networks.server}/32"}}]}
    names["ports"] = [{"protocol": protocol, "port": ports.NAMES} for protocol in ("UDP", "TCP")]
    # Also where the lab's networks are such as 198.18.0.0/15: neither private nor of the Internet.
    own = (networks.lab, networks.pods, networks.services)
    closed = [*PRIVATE, *(str(n) for n in own if not any(n.subnet_of(IPv4Network(p)) for p in PRIVATE))]
    internet = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": closed}}]}
    both: Object = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    both |= {"ingress": incoming, "egress": [{"to": [inside]}, dns, internet, names]}
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
        *([_grant(record, account, TEACHERS, "admin", record.teachers)] if record.teachers else []),
        _grant(record, account, "nodisk-student", student_role(record), [account]),
    ]


def storage_class() -> Object:
    """Names what claims and volumes have in common. Nothing provisions by it; it is what allows a claim to grow."""
    what = {"provisioner": PROVISIONER, "reclaimPolicy": "Retain", "allowVolumeExpansion": True}
    return _object("storage.k8s.io/v1", "StorageClass", STORAGE_CLASS, None, MANAGED, **what)


def storage(record: Class, student: Account, volume: Volume, networks: Networks) -> list[Object]:
    """The PersistentVolume and the claim of one student.

    The volume is bound beforehand to this claim (``claimRef``), so nobody else's can take it; its path on the server is
    a secret that students can't read, since they may not read PersistentVolumes.
    """
    namespace, name, labels = record.namespace(student), f"nodisk-{volume.name}", _labels(record, student)
    quantity = record.storage or str(volume.size)
    both: Object = {"accessModes": ["ReadWriteMany"], "storageClassName": STORAGE_CLASS}
    served: Object = {
        "capacity": {"storage": quantity},
        "persistentVolumeReclaimPolicy": "Retain",
        "mountOptions": list(MOUNT_OPTIONS),
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": CLAIM},
        "nfs": {"server": str(networks.server), "path": f"/{volume.path}"},
    }
    asked: Object = {"volumeName": name, "resources": {"requests": {"storage": quantity}}}
    return [
        _object("v1", "PersistentVolume", name, None, labels, spec=both | served),
        _object("v1", "PersistentVolumeClaim", CLAIM, namespace, labels, spec=both | asked),
    ]
