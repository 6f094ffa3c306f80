"""The way into Headlamp (an add-on): an address, namespaces, and a token for an hour with somebody's own rights.

Headlamp asks for a token when it is opened, and does everything with that token's rights, so nothing is given away here
but the token. It has no TLS of its own: what is pasted into it crosses the room's network in the clear, unless it is
reached by ``kubectl port-forward``. That is why a token is short-lived and why an administrator's changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from nodisk.classes import handouts, own
from nodisk.classes.features import RBAC
from nodisk.classes.manifests import MANAGED
from nodisk.classes.record import Account, Class
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem
from nodisk.kube import applyset
from nodisk.kube.client import Client, Object, connect
from nodisk.spec.model import Lab

NAME = "headlamp"
"""Of the add-on."""
LIFE = 3600
"""Seconds for which a token is good, at most."""
LOOKER = "nodisk-headlamp"
"""An administrator's account for looking, its role and its Secret, which are made when they are first asked for."""
CLUSTER = "main"
"""What Headlamp calls the cluster that it runs in. kubeadm's name for it would come first, but the account that the
add-on's pod has may not read that (Headlamp v0.45.0, backend/pkg/kubeconfig)."""
SYSTEM = "kube-system"
ABSENT = "Headlamp is not in the cluster. The lab's administrator can put it there: nodisk addons apply headlamp."
_LOOK = ["get", "list", "watch"]
_BEYOND_VIEW = {
    "": ["nodes", "persistentvolumes"],
    "storage.k8s.io": ["storageclasses"],
    "apiextensions.k8s.io": ["customresourcedefinitions"],
    "metrics.k8s.io": ["nodes", "pods"],
}
"""What belongs to no namespace, and Kubernetes' own ``view`` therefore doesn't have; by API group."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """What somebody needs to open Headlamp."""

    token: str = field(repr=False)
    ends: datetime
    namespaces: tuple[str, ...]
    """Those that they have rights in; none: all."""
    address: str
    """Where it answers to a browser; '' where only ``forward`` leads to it."""
    forward: str
    """The command that forwards it to one's own computer, for those who may."""

    @property
    def link(self) -> str:
        """Where a browser opens it: at the pods of ``namespaces``, once it has the token; '' without an address."""
        if not (self.address and self.namespaces):
            return self.address
        return f"{self.address}c/{CLUSTER}/pods?{urlencode({'namespace': ' '.join(self.namespaces)})}"


def wanted(lab: Lab) -> bool:
    """Whether lab.yaml has it."""
    return any(str(addon.name) == NAME for addon in lab.addons)


def ask(context: LabContext, found: Class | None, account: Account | None) -> Entrance:
    """A way in for a student or a teacher of a class; neither: for an administrator, who may look at everything.

    Raises NodiskError: it isn't there, or the API doesn't answer.
    """
    with connect(context, patience=0.0, within=own.WITHIN) as client:
        address, forward = _place(client, handouts.example_node(context.lab))
        if found is None or account is None:
            token, ends = _looker(client)
            spaces: tuple[str, ...] = ()
        else:
            token, ends = own.minted(client, found, account, LIFE)
            students = found.students if account in found.teachers else (account,)
            spaces, forward = tuple(map(found.namespace, students)), ""
        return Entrance(token, datetime.fromisoformat(ends), spaces, address, forward)


def _place(client: Client, node: str) -> tuple[str, str]:
    parent = applyset.parents(client).get(NAME)
    fronts = [] if parent is None else client.list("v1", "Service", labels=f"{applyset.PART_OF}={parent.id}")
    if not fronts:
        raise EnvironmentProblem(ABSENT)
    meta, spec = fronts[0]["metadata"], fronts[0]["spec"]
    beside = client.list("v1", "Service", namespace=meta["namespace"])
    port = spec["ports"][0]["port"]
    forward = f"kubectl --namespace {meta['namespace']} port-forward service/{meta['name']} 8080:{port}"
    return address([*fronts, *beside], spec.get("selector") or {}, node), forward


def address(services: Iterable[Mapping[str, Any]], selector: Mapping[str, str], node: str) -> str:
    """Where pods with these labels answer at every machine, by whichever Service; '' if they don't. Pure."""
    for service in services:
        spec = service.get("spec") or {}
        if not selector or spec.get("selector") != selector:
            continue
        for port in spec.get("ports") or []:
            if port.get("nodePort") and port.get("protocol", "TCP") == "TCP":
                return f"http://{node}:{int(port['nodePort'])}/"
    return ""


def looker() -> list[Object]:
    """The account by which an administrator looks at everything, with its rights, and the Secret that its tokens die
    with. Pure.
    """
    subject = [{"kind": "ServiceAccount", "name": LOOKER, "namespace": SYSTEM}]
    rules = [{"apiGroups": [group], "resources": kinds, "verbs": _LOOK} for group, kinds in _BEYOND_VIEW.items()]

    def made(version: str, kind: str, name: str, **rest: Any) -> Object:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": dict(MANAGED)}, **rest}

    def bound(name: str, role: str) -> Object:
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        return made(f"{RBAC}/v1", "ClusterRoleBinding", name, roleRef=ref, subjects=subject)

    account = made("v1", "ServiceAccount", LOOKER, automountServiceAccountToken=False)
    secret = made("v1", "Secret", f"{LOOKER}-token", type="nodisk.dev/bound-token")
    for one in (account, secret):
        one["metadata"]["namespace"] = SYSTEM
    role = made(f"{RBAC}/v1", "ClusterRole", LOOKER, rules=rules)
    return [account, secret, role, bound(LOOKER, LOOKER), bound(f"{LOOKER}-view", "view")]


def _looker(client: Client) -> tuple[str, str]:
    there = [client.apply(one) for one in looker()]
    secret = next(one for one in there if one["kind"] == "Secret")
    return client.token(SYSTEM, LOOKER, seconds=LIFE, bound_to=secret)
