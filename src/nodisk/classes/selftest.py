"""After a class is made: two students try, with their own credentials, what no student may. What happened is told.

What would change something is asked for as a dry run: the API server goes through all its checks, and stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from nodisk.classes.features import Features
from nodisk.classes.manifests import student_role
from nodisk.classes.record import Account, Class
from nodisk.kube.client import Client, Object
from nodisk.kube.errors import ApiError, Forbidden, Overloaded, Unauthorized, Unreachable
from nodisk.waiting import Deadline

DRY = {"dryRun": "All"}
# An API server knows a quota, and makes an admission policy ready, some time after they were made: a second, or more
# where it is slow or there are several.
SETTLED = 20.0
_POLICY = ("networking.k8s.io/v1", "NetworkPolicy")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    who: str
    tried: str
    expected: str
    """``refused`` or ``allowed``."""
    happened: str
    verdict: Literal["ok", "unsure", "gap", "hole", "untried"]
    """``ok``: tried, and as expected; ``unsure``: as expected, but nobody is known to see to it; ``gap``: this release
    or network can't do better, and that is known; ``hole``: a mistake; ``untried``: nobody knows."""

    def to_json(self) -> dict[str, Any]:
        """As ``--output json`` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tester:
    """A student with the credential."""

    account: Account
    client: Client


REACH = "reach another student's pod"
NAMES = "resolve a name of another student's namespace"


def untried(who: str, why: str, what: str = REACH) -> Finding:
    """Of what only pods can show: nobody has tried, and nobody should think so."""
    return Finding(who, what, "refused", f"not tested: {why}", "untried")


def unenforced(who: str) -> Finding:
    """Of pods that should not reach each other, where nothing is there that could keep them apart."""
    return Finding(who, REACH, "refused", "not tested: nothing in this cluster enforces NetworkPolicy", "gap")


def run(record: Class, first: Tester, second: Tester | None, found: Features) -> Iterator[Finding]:
    """Try all that the API server decides as ``first`` against ``second`` (None: a class of one); a Finding each.

    What only pods can show (``REACH``, ``NAMES``) is ``classes.reach``.
    """
    own = record.namespace(first.account)
    me = _Attempts(first, own)
    who, client, refused, post, to = me.who, first.client, me.refused, me.post, me.path
    happened = _attempt(lambda: client.list("v1", "Pod", namespace=own))
    yield _judged(who, f"list pods in {own}", "allowed", happened)
    yield refused("list nodes", lambda: client.list("v1", "Node"))
    yield refused("list namespaces", lambda: client.list("v1", "Namespace"))
    if second is not None:
        theirs = record.namespace(second.account)
        for kind in ("Pod", "Secret"):
            yield refused(f"list {kind.lower()}s in {theirs}", partial(client.list, "v1", kind, namespace=theirs))
        yield refused(f"create a pod in {theirs}", post(to("v1", "Pod", theirs), _pod("peep", theirs)))
    for kind in ("ServiceAccount", "Secret"):
        yield refused(
            f"list {kind}s in {record.identities}",
            partial(client.list, "v1", kind, namespace=record.identities),
        )
    token: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for space, name in ((record.identities, first.account.service_account), (own, "default")):
        path = to("v1", "ServiceAccount", space, name, "token")
        yield refused(
            f"mint a token of {space}/{name}", partial(client.request, "POST", path, body=token, idempotent=True)
        )
    quota = to("v1", "ResourceQuota", own, "nodisk")
    merge = "application/merge-patch+json"
    more: Object = {"spec": {"hard": {"pods": "1000"}}}
    yield refused("raise the quota", lambda: client.request("PATCH", quota, params=DRY, body=more, content_type=merge))
    policy = to(*_POLICY, own, "nodisk")
    yield refused("delete the NetworkPolicy", lambda: client.request("DELETE", policy, params=DRY))
    open_door = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    yield refused(
        "add a NetworkPolicy that opens the way out",
        post(
            to("networking.k8s.io/v1", "NetworkPolicy", own),
            _object("networking.k8s.io/v1", "NetworkPolicy", own, spec=open_door),
        ),
    )
    rbac = "rbac.authorization.k8s.io"
    grab = {
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": own}],
    }
    yield refused(
        "become cluster-admin of the own namespace",
        post(to(f"{rbac}/v1", "RoleBinding", own), _object(f"{rbac}/v1", "RoleBinding", own, **grab)),
    )
    own_role = {
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": student_role(record)},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": own}],
    }
    yield refused(
        "give a ServiceAccount of the own namespace what they have",
        post(to(f"{rbac}/v1", "RoleBinding", own), _object(f"{rbac}/v1", "RoleBinding", own, **own_role)),
    )
    yield refused("list PersistentVolumes", lambda: client.list("v1", "PersistentVolume"))
    if record.role != "view":
        yield from _workloads(me, record, found)


def _workloads(me: _Attempts, record: Class, found: Features) -> Iterator[Finding]:
    """What quota and admission refuse to an account that may run pods."""
    own, refused, after_settling, post, to = me.namespace, me.refused, me.after_settling, me.post, me.path
    yield after_settling(
        "a pod with more memory than the quota",
        post(to("v1", "Pod", own), _pod("big", own, resources={"limits": {"memory": "900Gi"}})),
    )
    balancer = _object("v1", "Service", own, spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    yield after_settling("a Service of type LoadBalancer", post(to("v1", "Service", own), balancer))
    taken = _object("v1", "Service", own, spec={"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]})
    no_policy = None if found.admission_policy else "this release has no ValidatingAdmissionPolicy"
    yield after_settling("a Service with externalIPs", post(to("v1", "Service", own), taken), unless=no_policy)
    owner = _pod("root", own, securityContext={"privileged": True})
    no_psa = None if found.pod_security else "this release has no PodSecurity admission"
    yield refused("a privileged pod", post(to("v1", "Pod", own), owner), unless=no_psa)
    probe = {"httpGet": {"host": "192.0.2.1", "port": 80}}
    by_machine = _pod("probe", own, livenessProbe=probe)
    yield after_settling(
        "a pod whose probe asks another host", post(to("v1", "Pod", own), by_machine), unless=no_policy
    )
    if record.storage is not None:
        secret = no_policy and f"{no_policy}; the path of others' storage is secret"
        yield after_settling(
            "a pod that mounts by NFS itself", post(to("v1", "Pod", own), _mounting_pod(own)), unless=secret
        )


class _Attempts:
    """What one student tries, in the own namespace or elsewhere."""

    def __init__(self, tester: Tester, namespace: str) -> None:
        self.who, self.namespace = tester.account.label, namespace
        self._client = tester.client
        self._settled = Deadline(SETTLED)

    def path(
        self, api_version: str, kind: str, space: str | None, name: str | None = None, sub: str | None = None
    ) -> str:
        return self._client.path(api_version, kind, name, namespace=space, subresource=sub)

    def post(self, path: str, body: Object) -> Callable[[], object]:
        return lambda: self._client.request("POST", path, params=DRY, body=body)

    def refused(self, what: str, attempt: Callable[[], object], *, unless: str | None = None) -> Finding:
        """``unless``: why this release or network would allow it."""
        return _judged(self.who, what, "refused", _attempt(attempt), unless)

    def after_settling(self, what: str, attempt: Callable[[], object], *, unless: str | None = None) -> Finding:
        """As ``refused``, by a quota or an admission policy that the API server may not know yet."""
        happened = _attempt(attempt)
        while happened == "allowed" and unless is None and self._settled.pause(0.25):
            happened = _attempt(attempt)
        return _judged(self.who, what, "refused", happened, unless)


def _judged(who: str, what: str, expected: str, happened: str, unless: str | None = None) -> Finding:
    if happened.startswith("not tested"):
        return Finding(who, what, expected, happened, "untried")
    if unless is not None and happened == "allowed":
        return Finding(who, what, expected, f"allowed: {unless}", "gap")
    return Finding(who, what, expected, happened, "ok" if happened.startswith(expected) else "hole")


def _attempt(attempt: Callable[[], object]) -> str:
    deadline = Deadline(10)
    while True:
        try:
            attempt()
        except Forbidden as error:
            if "status unknown for quota" not in error.message:
                return "refused"
            if not deadline.pause(0.2):  # the quota controller has not counted a namespace this young
                return f"not tested: {error.message}"
            continue
        except (Unauthorized, Overloaded, Unreachable) as error:
            return f"not tested: {error.message}"  # the API server has not decided anything
        except ApiError as error:
            return f"refused ({error.reason})" if error.status == 422 else f"error: {error.message}"
        return "allowed"


def _object(api_version: str, kind: str, namespace: str, **rest: Any) -> Object:
    meta = {"name": "nodisk-selftest", "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **rest}


def _mounting_pod(namespace: str) -> Object:
    pod = _pod("nfs", namespace)
    pod["spec"]["volumes"] = [{"name": "all", "nfs": {"server": "192.0.2.1", "path": "/"}}]
    return pod


def _pod(name: str, namespace: str, **container: Any) -> Object:
    first = {"name": name, "image": "registry.invalid/none", **container}
    return _object("v1", "Pod", namespace, spec={"containers": [first], "automountServiceAccountToken": False})
