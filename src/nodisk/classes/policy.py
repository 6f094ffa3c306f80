"""What holds for all classes: the students' ClusterRoles, and the admission policies where the release has them.

The built-in ``edit`` lets its holder mint tokens, replace NetworkPolicies and point Services at other people's pods;
``admin`` also grant all that to accounts of the namespace, for good.
So students get a copy of it without those; it is taken from the live role, so that add-ons' kinds are in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodisk.classes.features import RBAC, Features
from nodisk.classes.manifests import CLASS, IDENTITIES, MANAGED, MANAGED_BY, STUDENT, student_role
from nodisk.classes.record import Class
from nodisk.kube.client import Object

_WRITE = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# (API group, resource) → verbs that a student doesn't get.
WITHHELD: dict[tuple[str, str], frozenset[str]] = {
    ("networking.k8s.io", "networkpolicies"): _WRITE,
    ("extensions", "networkpolicies"): _WRITE,
    ("", "serviceaccounts/token"): _WRITE,
    ("", "serviceaccounts"): frozenset({"impersonate"}),
    ("", "endpoints"): _WRITE,
    ("discovery.k8s.io", "endpointslices"): _WRITE,
    # What was granted to a ServiceAccount of the student's own namespace would outlive suspension and rotation.
    ("rbac.authorization.k8s.io", "rolebindings"): _WRITE,
    ("rbac.authorization.k8s.io", "roles"): _WRITE,
}


def without(rules: Sequence[Mapping[str, Any]]) -> list[Object]:
    """RBAC rules less what is WITHHELD; a rule is split only where it has to be."""
    kept: list[Object] = []
    for rule in rules:
        rest: list[str] = []
        groups, verbs = rule.get("apiGroups") or [], rule.get("verbs") or []
        for resource in rule.get("resources") or []:
            drop = {group: WITHHELD.get((group, resource), frozenset[str]()) & set(verbs) for group in groups}
            if not any(drop.values()):
                rest.append(resource)
                continue
            for group in groups:
                if left := [verb for verb in verbs if verb not in drop[group]]:
                    kept.append({"apiGroups": [group], "resources": [resource], "verbs": left})
        if rest:
            kept.append({**rule, "resources": rest})
    return kept


def cluster_role(record: Class, features: Features) -> Object:
    """The ClusterRole of the class's students, from the built-in one as it is now."""
    meta = {"name": student_role(record), "labels": MANAGED}
    rules = without(features.rules[record.role])
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}


_RESIDENT = (
    f"request.userInfo.groups.exists(g, g == 'system:serviceaccounts:' + request.namespace || "
    f"g == 'system:serviceaccounts:' + namespaceObject.metadata.labels['{IDENTITIES}'])"
)
_MANAGED = (
    f"has(oldObject.metadata.labels) && '{MANAGED_BY}' in oldObject.metadata.labels && "
    f"oldObject.metadata.labels['{MANAGED_BY}'] == 'nodisk'"
)


def _hostless(at: str) -> str:
    """CEL: the probe or handler at ``at`` names no host."""
    ways = (f"(!has({at}.{way}) || !has({at}.{way}.host))" for way in ("httpGet", "tcpSocket"))
    return f"(!has({at}) || {' && '.join(ways)})"


def _own_probes() -> str:
    """CEL: kubelet is not sent to other hosts by a pod's probes or lifecycle hooks; it would ask as the machine."""
    probes = " && ".join(_hostless(f"c.{kind}Probe") for kind in ("liveness", "readiness", "startup"))
    hooks = " && ".join(_hostless(f"c.lifecycle.{when}") for when in ("postStart", "preStop"))
    good = f"{probes} && (!has(c.lifecycle) || {hooks})"
    first = f"(!has(object.spec.initContainers) || object.spec.initContainers.all(c, {good}))"
    return f"object.spec.containers.all(c, {good}) && {first}"


def _rule(group: str, resources: list[str], operations: list[str]) -> Object:
    return {"apiGroups": [group], "apiVersions": ["*"], "resources": resources, "operations": operations}


def admission_policies(api_version: str) -> list[Object]:
    """ValidatingAdmissionPolicies and their bindings, for the namespaces of all students of all classes."""
    change = ["UPDATE", "DELETE"]
    managed = [
        _rule("", ["resourcequotas", "limitranges", "persistentvolumeclaims"], change),
        _rule("networking.k8s.io", ["networkpolicies"], change),
        _rule(RBAC, ["rolebindings"], change),
    ]
    found: list[Object] = []
    for name, rules, expression, message in (
        (
            "nodisk-managed",
            managed,
            f"!({_RESIDENT}) || !({_MANAGED})",
            "this object is managed by nodisk; ask your teacher",
        ),
        (
            "nodisk-external-ips",
            [_rule("", ["services"], ["CREATE", "UPDATE"])],
            "!has(object.spec.externalIPs) || size(object.spec.externalIPs) == 0",
            "a Service may not take over other addresses (externalIPs)",
        ),
        (
            # The API's own level "baseline" has nothing against them, and a machine may mount whatever it knows of.
            "nodisk-nfs-volumes",
            [_rule("", ["pods"], ["CREATE"])],
            "!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.nfs))",
            "a pod may not mount by NFS itself; use a PersistentVolumeClaim",
        ),
        (
            # The level "baseline" refuses them from 1.34.
            "nodisk-probe-hosts",
            [_rule("", ["pods"], ["CREATE"])],
            _own_probes(),
            "a probe or a lifecycle hook may not name a host: the machine itself would ask it",
        ),
        (
            "nodisk-token-secrets",
            [_rule("", ["secrets"], ["CREATE"])],
            f"!({_RESIDENT}) || !has(object.type) || object.type != 'kubernetes.io/service-account-token'",
            "a Secret that holds a token for ever may not be made here",
        ),
    ):
        match = {
            "resourceRules": rules,
            "namespaceSelector": {"matchExpressions": [{"key": key, "operator": "Exists"} for key in (CLASS, STUDENT)]},
        }
        validation = {"expression": expression, "message": message, "reason": "Forbidden"}
        meta: Object = {"name": name, "labels": MANAGED}
        policy = {"failurePolicy": "Fail", "matchConstraints": match, "validations": [validation]}
        kind = "ValidatingAdmissionPolicy"
        found.append({"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": policy})
        binding = {"policyName": name, "validationActions": ["Deny"]}
        found.append({"apiVersion": api_version, "kind": f"{kind}Binding", "metadata": meta, "spec": binding})
    return found
