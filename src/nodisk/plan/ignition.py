"""A machine's whole Ignition config: public, without secrets, byte for byte the same for the same inputs.

Spec 3.3, the newest that Debian's Ignition 2.14 reads.
"""

from __future__ import annotations

import json
from typing import Any

from nodisk import ports
from nodisk.errors import SpecError
from nodisk.pki import profiles
from nodisk.plan import containers, kubeadm, kubelet, network, policy_rules, snippet_words, snippets, system
from nodisk.plan.budget import budget
from nodisk.plan.documents import HEADER, dropin, file, program, unit
from nodisk.plan.facts import Facts
from nodisk.spec import versions
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_kubernetes import PodNetwork
from nodisk.values import Role

SPEC = "3.3.0"


def config(lab: Lab, facts: Facts, machine: Machine) -> dict[str, Any]:
    """nodisk's own part of the config, as data; files and units by name."""
    return {
        "ignition": {"version": SPEC},
        "passwd": {
            "users": [
                {"name": "admin", "groups": ["sudo"], "shell": "/bin/bash", "sshAuthorizedKeys": list(lab.ssh_keys)}
            ]
        },
        "storage": {"files": sorted(_files(lab, facts, machine), key=lambda one: str(one["path"]))},
        "systemd": {"units": sorted(_units(lab, facts, machine), key=lambda one: str(one["name"]))},
    }


def render(lab: Lab, facts: Facts, machine: Machine, *, where: snippets.Where = snippets.words) -> str:
    """The config as ``GET /ignition/MAC`` answers it: nodisk's own part and the machine's Butane snippets.

    ``where`` names places of lab.yaml in messages; raises SpecError with every problem of the snippets.
    """
    whole = snippets.apply(lab, machine, config(lab, facts, machine), where=where)
    if problems := list(snippet_words.refused(snippets.of(lab, machine), whole, where)):
        raise SpecError("\n".join(problems), hint="see docs/how-to/per-machine-butane.md for what a snippet can do")
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _files(lab: Lab, facts: Facts, machine: Machine) -> list[dict[str, Any]]:
    caps = budget(lab, machine, facts)
    found = [
        file("/etc/hostname", f"{machine.name}\n"),
        file("/etc/hosts", system.hosts(lab, machine)),
        file("/etc/resolv.conf", system.resolv_conf(lab)),
        file("/etc/systemd/network/10-nodisk.network", system.network_unit(lab, machine)),
        file("/etc/systemd/networkd.conf.d/nodisk.conf", system.NETWORKD),
        file("/etc/systemd/timesyncd.conf.d/nodisk.conf", system.timesyncd(lab)),
        file("/etc/systemd/journald.conf.d/nodisk.conf", system.journald(caps.journald_mib)),
        file("/etc/sudoers.d/nodisk", system.SUDOERS, mode=0o440),
        file("/etc/nodisk/ca.crt", facts.ca_pem),
        file("/etc/nodisk/node.env", _node_env(lab, facts, machine)),
        file("/etc/nodisk/profiles", requests(lab, machine)),
    ]
    return found + (_cluster_files(lab, facts, machine) if lab.has_cluster else _plain_files(lab))


def _plain_files(lab: Lab) -> list[dict[str, Any]]:
    """Where a machine gets packages from. Without a mirror in lab.yaml: the host's own may be out of its reach."""
    if lab.os.mirror is None:
        return []
    return [file("/etc/apt/sources.list.d/nodisk.sources", system.apt_sources(lab.os.mirror, versions.suite(lab)))]


def _cluster_files(lab: Lab, facts: Facts, machine: Machine) -> list[dict[str, Any]]:
    flags = " ".join(kubelet.kubelet_flags(facts, machine))
    gives = containers.gives_layers(lab, facts, machine)
    found = [
        file("/etc/sysctl.d/90-nodisk.conf", system.SYSCTL),
        file("/etc/modules-load.d/nodisk.conf", system.MODULES),
        file("/etc/nftables.conf", containers.firewall(lab, names=not facts.release.has_dns)),
        file("/etc/containerd/config.toml", containers.containerd_config(facts, gives_layers=gives)),
        file("/etc/containerd/certs.d/_default/hosts.toml", containers.registry_hosts(lab, gives_layers=gives)),
        *_class_registry(lab),
        file("/etc/nodisk/kubelet.env", f"{HEADER}KUBELET_FLAGS={flags}\n"),
        file("/etc/kubernetes/kubelet.yaml", kubelet.kubelet_config(lab, facts, machine)),
        file("/etc/kubernetes/kube-proxy.yaml", kubelet.kube_proxy_config(lab, facts, machine)),
    ]
    if lab.server_enforces:
        found.append(file("/etc/nodisk/policies.nft", policy_rules.closed(network.pod_range(lab, machine))))
    if lab.kubernetes.network is PodNetwork.ROUTED:
        found.append(file("/etc/cni/net.d/10-nodisk.conflist", containers.cni_config(lab, machine)))
    if machine.role is Role.CONTROL_PLANE:
        ref = facts.release.kubeadm
        found.append(program("/usr/bin/kubeadm", network.server_url(lab) + ref.url_path, ref.sha256))
        found.append(file("/etc/kubernetes/kubeadm.yaml", kubeadm.config(lab, facts, machine)))
        found.append(file("/etc/nodisk/images", "".join(f"{name}\n" for name in kubeadm.control_plane_images(facts))))
    return found


def _class_registry(lab: Lab) -> list[dict[str, Any]]:
    """Whom containerd trusts for students' images, which are in no other registry."""
    if lab.class_registry is None:
        return []
    there = f"{lab.network.server}:{ports.CLASS_REGISTRY}"
    return [file(f"/etc/containerd/certs.d/{there}/hosts.toml", containers.class_registry_hosts(lab))]


def _units(lab: Lab, facts: Facts, machine: Machine) -> list[dict[str, Any]]:
    caps = budget(lab, machine, facts)
    found = [
        unit("var-lib-containerd.mount", system.ram_mount("/var/lib/containerd", caps.containerd_mib, mode="0711")),
        unit("var-lib-kubelet.mount", system.ram_mount("/var/lib/kubelet", caps.kubelet_mib, mode="0750")),
    ]
    found += _cluster_units(lab, facts, machine) if lab.has_cluster else []
    off: list[dict[str, Any]] = [{"name": name, "mask": True} for name in facts.masked]
    return [one for one in found if one["name"] not in facts.masked] + off


def _cluster_units(lab: Lab, facts: Facts, machine: Machine) -> list[dict[str, Any]]:
    found = [
        dropin("containerd.service", "nodisk.conf", "[Unit]\nRequiresMountsFor=/var/lib/containerd\n"),
    ]
    if lab.server_enforces:
        found.append(unit("nodisk-policies.service"))
    if containers.gives_layers(lab, facts, machine):
        found.append(unit(containers.LAYERS_SERVICE, containers.layers_unit(lab, machine)))
    if machine.role is Role.CONTROL_PLANE:
        found += [unit(f"nodisk-{part}.service") for part in ("manifests", "images", "control-plane")]
    return found


def _node_env(lab: Lab, facts: Facts, machine: Machine) -> str:
    """Settings for the machine's scripts, as shell variables; only lists need quoting."""
    values = {
        "LAB": str(lab.name),
        "NAME": str(machine.name),
        "MAC": machine.mac.hyphened,
        "ADDRESS": str(machine.address),
        "ROLE": str(machine.role),
        "SERVER": str(lab.network.server),
    }
    if lab.has_cluster:
        values |= {
            "API": network.api_url(lab, machine),
            "PHASES": '"' + " ".join(kubeadm.phases(facts)) + '"',
        }
        if machine.role is Role.CONTROL_PLANE:
            alone = len(lab.by_role(Role.CONTROL_PLANE)) == 1
            values |= {
                "ELECTION_ALONE": f'"{kubeadm.ALONE.words() if alone else ""}"',
                "ELECTION_EMULATED": f'"{kubeadm.EMULATED.words()}"',
            }
    return HEADER + "".join(f"{key}={value}\n" for key, value in values.items())


def requests(lab: Lab, machine: Machine) -> str:
    """The certificates that the machine asks for: ``profile|subject|alternative names``, as openssl writes them.

    From the same table with which the server checks the requests. A plain machine asks for none.
    """
    lines = []
    for profile in profiles.allowed(machine.role) if lab.has_cluster else ():
        organization = f"/O={profile.organization}" if profile.organization else ""
        subject = f"{organization}/CN={profile.common_name.format(name=machine.name)}"
        sans = profiles.sans(profile, lab, machine)
        names = [*(f"DNS:{name}" for name in sans.names), *(f"IP:{address}" for address in sans.addresses)]
        lines.append(f"{profile.name}|{subject}|{','.join(names)}\n")
    return "".join(lines)
