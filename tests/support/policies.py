"""NetworkPolicies for tests, and what they allow by the words of their documentation: slow, plain, and another way."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any


def policy(namespace: str, name: str, pods: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"namespace": namespace, "name": name}
    return {"metadata": meta, "spec": {"podSelector": pods or {}, **spec}}


def pod(
    namespace: str, name: str, address: str, labels: dict[str, str] | None = None, *, node: str = "n1", **ports: int
) -> dict[str, Any]:
    """A running pod; ``ports`` by name, TCP."""
    listed = [{"name": key, "containerPort": number} for key, number in ports.items()]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
        "spec": {"nodeName": node, "containers": [{"name": "one", "ports": listed}]},
        "status": {"phase": "Running", "podIP": address},
    }


def allowed(
    namespaces: dict[str, dict[str, str]],
    policies: list[dict[str, Any]],
    source: dict[str, Any] | str,
    target: dict[str, Any] | str,
    *,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Whether a connection is allowed; an end is a pod of the API, or an address that is no pod's."""
    return all(
        isinstance(own, str) or _side(namespaces, policies, own, other, way=way, port=port, protocol=protocol)
        for own, other, way in ((source, target, "Egress"), (target, source, "Ingress"))
    )


def _side(
    namespaces: dict[str, dict[str, str]],
    policies: list[dict[str, Any]],
    own: dict[str, Any],
    other: dict[str, Any] | str,
    *,
    way: str,
    port: int,
    protocol: str,
) -> bool:
    target = own if way == "Ingress" else other
    if own is other:
        return True
    restricted = False
    for one in policies:
        spec = one["spec"]
        types = spec.get("policyTypes") or (["Ingress"] + (["Egress"] if spec.get("egress") else []))
        if (
            one["metadata"]["namespace"] != own["metadata"]["namespace"]
            or way not in types
            or not _selected(spec["podSelector"], own["metadata"]["labels"])
        ):
            continue
        restricted = True
        for rule in spec.get(way.lower()) or []:
            peers, ports = rule.get("from" if way == "Ingress" else "to"), rule.get("ports")
            if peers and not any(_means(namespaces, one, peer, other) for peer in peers):
                continue
            if not ports or any(_open(asked, target, port, protocol) for asked in ports):
                return True
    return not restricted


def _means(
    namespaces: dict[str, dict[str, str]], one: dict[str, Any], peer: dict[str, Any], other: dict[str, Any] | str
) -> bool:
    if "ipBlock" in peer:
        address = IPv4Address(other if isinstance(other, str) else other["status"]["podIP"])
        block = peer["ipBlock"]
        out = [ip_network(text) for text in block.get("except", ())]
        return address in ip_network(block["cidr"]) and not any(address in net for net in out)
    if isinstance(other, str):
        return False
    meta = other["metadata"]
    if "namespaceSelector" in peer:
        if not _selected(peer["namespaceSelector"], namespaces[meta["namespace"]]):
            return False
    elif meta["namespace"] != one["metadata"]["namespace"]:
        return False
    return _selected(peer.get("podSelector", {}), meta["labels"])


def _selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", ()):
        key, there = one["key"], one["key"] in labels
        by = {
            "In": there and labels[key] in one.get("values", ()) if there else False,
            "NotIn": not there or labels[key] not in one.get("values", ()),
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not by[one["operator"]]:
            return False
    return True


def _open(asked: dict[str, Any], target: dict[str, Any] | str, port: int, protocol: str) -> bool:
    if asked.get("protocol", "TCP") != protocol:
        return False
    wanted = asked.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        if isinstance(target, str):
            return False
        named = [one for one in target["spec"]["containers"][0]["ports"] if one["name"] == wanted]
        return protocol == "TCP" and any(one["containerPort"] == port for one in named)
    return bool(wanted <= port <= asked.get("endPort", wanted))
