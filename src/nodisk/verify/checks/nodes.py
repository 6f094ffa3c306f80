"""The nodes compared with lab.yaml: names, roles, versions, addresses, health; and their kubelets' certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509

from nodisk import ports
from nodisk.assets import built, holds
from nodisk.errors import NodiskError
from nodisk.kube.client import Object
from nodisk.kube.objects import condition
from nodisk.spec.model import Machine
from nodisk.values import KubeVersion, Role
from nodisk.verify.core import Failed
from nodisk.verify.diagnose import cause, pressures
from nodisk.verify.scene import Scene

SOON = 3600.0
"""Seconds: a certificate that ends within an hour ends within a lesson."""


def nodes(scene: Scene) -> list[str]:
    """Every machine is a node as lab.yaml says, Ready and without pressure."""
    release = built.release_facts(scene.context.state.state, scene.context.lab)
    held = holds.read(scene.context.state)
    found = scene.nodes()
    wrong: list[tuple[str, str]] = []
    good = []
    for machine in scene.context.lab.machines:
        name = str(machine.name)
        if name not in found:
            wrong.append((name, f"{name}: no such node; the machine never joined"))
            continue
        faults = list(_faults(found[name], machine, _release(held.of(machine.mac), release.version)))
        wrong += [(name, f"{name}: {fault}") for fault in faults]
        if not faults:
            good.append(f"{name}: Ready, {machine.role}, {machine.address}, {_version(found[name])}")
    known = {str(machine.name) for machine in scene.context.lab.machines}
    wrong += [(name, f"{name}: a node that lab.yaml doesn't know") for name in sorted(found.keys() - known)]
    if wrong:
        node, words = wrong[0]
        raise Failed(*(line for _, line in wrong), **_why(node, words))
    return good


def _faults(node: Object, machine: Machine, release: KubeVersion) -> Iterator[str]:
    ready = condition(node, "Ready")
    if ready.get("status") != "True":
        yield f"not Ready ({ready.get('reason', 'no condition')}: {ready.get('message', '')})"
    yield from pressures(node)
    labels = node["metadata"].get("labels") or {}
    control = any(f"node-role.kubernetes.io/{word}" in labels for word in ("control-plane", "master"))
    if control != (machine.role is Role.CONTROL_PLANE):
        yield f"lab.yaml says {machine.role}, its labels say {'control-plane' if control else 'worker'}"
    addresses = {one["address"] for one in node["status"].get("addresses", []) if one["type"] == "InternalIP"}
    if str(machine.address) not in addresses:
        yield f"lab.yaml says {machine.address}, the node says {', '.join(sorted(addresses)) or 'none'}"
    if KubeVersion.printed(_version(node)).key != release.key:
        yield f"runs {_version(node)}, the release is {release}"
    for key, value in machine.labels.items():
        if labels.get(key) != value:
            yield f"lacks the label {key}={value} of lab.yaml"
    if node["spec"].get("unschedulable"):
        yield "is cordoned: no new pod gets onto it"


def _release(held: holds.Build | None, current: KubeVersion) -> KubeVersion:
    """What a machine should run: one that is held runs the release that it had."""
    found = held.facts[1] if held is not None else None
    return current if found is None else found.version


def _version(node: Object) -> str:
    return str(node["status"]["nodeInfo"]["kubeletVersion"])


def _why(node: str, words: str) -> dict[str, str]:
    if "not Ready" in words and "Unknown" in words:
        why = f"kubelet on {node} stopped, or {node} is off or cut from the network"
        return {"cause": why, "look": f"nodisk ssh {node} systemctl status kubelet"}
    if "Pressure" in words:
        likely, look = cause(words, registry="", node=node)
        return {"cause": likely, "look": look}
    if "cordoned" in words:
        return {"cause": "somebody cordoned it", "look": f"nodisk kubectl uncordon {node}"}
    if "no such node" in words:
        return {"cause": f"{node} is off or did not get through its boot", "look": "nodisk status; nodisk events"}
    return {"cause": "lab.yaml changed since the machine booted", "look": f"nodisk render {node} --diff"}


def certificates(scene: Scene) -> list[str]:
    """Every kubelet answers on its port with a valid certificate of this lab. Also checks the administrator's own."""
    machines = scene.context.lab.machines
    timeout = min(20.0, 3 * scene.pace)
    wishes = [{"kind": "tls", "host": str(one.address), "port": ports.KUBELET, "timeout": timeout} for one in machines]
    authority = x509.load_pem_x509_certificate(scene.client.endpoint.ca_pem.encode())
    good: list[str] = []
    wrong: list[tuple[str, str]] = []
    for machine, answer in zip(machines, scene.probe(wishes), strict=True):
        name = str(machine.name)
        if not answer["ok"]:
            wrong.append(
                (name, f"{name}: kubelet does not answer on {machine.address}:{ports.KUBELET} ({answer['error']})")
            )
            continue
        certificate = x509.load_pem_x509_certificate(answer["pem"].encode())
        left = _left(certificate)
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception:  # the library raises several kinds; all mean the same
            wrong.append((name, f"{name}: kubelet's certificate is not signed by this lab's CA"))
            continue
        if left < SOON:
            wrong.append((name, f"{name}: kubelet's certificate {_span(left)}"))
        good.append(f"{name}: kubelet's certificate {_span(left)}")
    if scene.client.endpoint.cert_pem is not None:
        own = _left(x509.load_pem_x509_certificate(scene.client.endpoint.cert_pem.encode()))
        good.append(f"the administrator's certificate {_span(own)}")
    good.append(f"the lab's CA {_span(_left(authority))}")
    if wrong:
        node, words = wrong[0]
        if "does not answer" in words:
            why = f"kubelet on {node} is stopped, or the machine is off"
            look = f"nodisk ssh {node} systemctl status kubelet"
        else:
            why, look = f"{node} enrolled long ago or with another CA; a reboot enrols it again", "nodisk pki list"
        raise Failed(*(line for _, line in wrong), cause=why, look=look)
    return good


def _left(certificate: x509.Certificate) -> float:
    return (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()


def _span(seconds: float) -> str:
    if seconds < 0:
        return "has expired"
    days, hours = divmod(seconds / 3600, 24)
    return f"lasts {days:.0f} more days" if days >= 2 else f"lasts {days * 24 + hours:.1f} more hours"


def names(scene: Scene) -> list[str]:
    """The machines' names; raises NodiskError if none of them is a node."""
    found = [str(one.name) for one in scene.context.lab.machines if str(one.name) in scene.nodes()]
    if not found:
        raise NodiskError("no machine of lab.yaml is a node of the cluster", hint="nodisk status")
    return found
