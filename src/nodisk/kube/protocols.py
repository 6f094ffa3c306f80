"""Ports without a protocol, as people write them: TCP, said where server-side apply needs it said.

An API server of 1.20 knows a port in a list by its number and its protocol, has no default for the latter there, and
answers a manifest that leaves it out with 500. Later ones fill in what this does.
"""

from __future__ import annotations

from typing import Any

from nodisk.kube.transport import Object

ABOVE = {
    "Pod": (),
    "Deployment": ("template",),
    "DaemonSet": ("template",),
    "StatefulSet": ("template",),
    "ReplicaSet": ("template",),
    "ReplicationController": ("template",),
    "Job": ("template",),
    "CronJob": ("jobTemplate", "spec", "template"),
}
"""From an object's spec to what has the pod's spec in it."""


def said(obj: Object) -> Object:
    """The object with ``protocol: TCP`` at each port of a Service or a container that has none. Pure.

    What is no such list is left as it is: the API server says best what is wrong with it.
    """
    kind, spec = obj.get("kind"), obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    if kind == "Service":
        return obj | {"spec": _with_ports(spec)}
    return obj | {"spec": _below(spec, ABOVE[kind])} if kind in ABOVE else obj


def _below(spec: dict[str, Any], way: tuple[str, ...]) -> dict[str, Any]:
    """A spec in which the pod is below these keys."""
    if not way:
        lists = {
            key: [_with_ports(one) if isinstance(one, dict) else one for one in spec[key]]
            for key in ("containers", "initContainers")
            if isinstance(spec.get(key), list)
        }
        return spec | lists
    first, *rest = way
    inner = spec.get(first)
    if not isinstance(inner, dict):
        return spec
    if rest:
        return spec | {first: _below(inner, tuple(rest))}
    return spec | {first: inner | {"spec": _below(inner["spec"], ())}} if isinstance(inner.get("spec"), dict) else spec


def _with_ports(has: dict[str, Any]) -> dict[str, Any]:
    ports = has.get("ports")
    if not isinstance(ports, list):
        return has
    return has | {"ports": [{"protocol": "TCP"} | one if isinstance(one, dict) else one for one in ports]}
