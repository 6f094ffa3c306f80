"""The room as an inventory of Ansible: lab.yaml's machines, with what is known of this boot.

What is returned is what Ansible's ``script`` plugin reads from a program (its guide "Developing dynamic inventory"):
groups of hosts, and ``_meta`` with every host's variables, so that it asks once. Kubespray's names are those of its
sample inventory (``kube_control_plane``, ``kube_node``, ``etcd``, ``k8s_cluster``).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from nodisk import files
from nodisk.context import LabContext
from nodisk.machines import ssh
from nodisk.records.database import Database
from nodisk.records.events import Kind, progress
from nodisk.spec.model import Lab, Machine
from nodisk.values import Role, Stage


class Format(StrEnum):
    """Whose group names and variables the inventory has."""

    ANSIBLE = "ansible"
    KUBESPRAY = "kubespray"


@dataclass(frozen=True, slots=True)
class Access:
    """How this host logs in to the machines."""

    known_hosts: Path
    """The keys of this boot, by the machines' names."""
    key: Path | None
    """A private key; None: the user's own, as ssh finds it."""
    netns: str | None
    """The namespace that a virtual lab's addresses exist in."""


PYTHON = "/usr/bin/python3"
"""Of a machine without Kubernetes; a node has none."""

DISKLESS: Mapping[str, Any] = {
    # The room's server downloads once; a machine keeps in RAM only what it runs.
    "download_run_once": True,
    "download_localhost": True,
    # The overlay over the machine's root is small. These are RAM disks of their own.
    "local_release_dir": "/dev/shm/releases",  # noqa: S108 - Kubespray makes it, as root
    "containerd_storage_dir": "/var/lib/containerd",
    # The server answers DNS already: Kubespray is not to rewrite resolv.conf on a machine that forgets it.
    "resolvconf_mode": "none",
    "override_system_hostname": False,
}
"""Kubespray's variables for machines whose disks are RAM."""


def inventory(lab: Lab, stages: Mapping[str, Stage | None], access: Access, kind: Format) -> dict[str, Any]:
    """All groups, and every host's variables. ``stages``: what each machine has reached in this boot, by its name."""
    variables = {
        str(machine.name): _variables(machine, stages.get(str(machine.name)), access, kind) for machine in lab.machines
    }
    if not lab.has_cluster:  # its image has Python
        variables = {name: {**one, "ansible_python_interpreter": PYTHON} for name, one in variables.items()}
    control_plane = [str(machine.name) for machine in lab.by_role(Role.CONTROL_PLANE)]
    workers = [str(machine.name) for machine in lab.by_role(Role.WORKER)]
    if kind is Format.ANSIBLE:
        groups: dict[str, Any] = {"control_plane": {"hosts": control_plane}, "workers": {"hosts": workers}}
    else:
        groups = {
            "kube_control_plane": {"hosts": control_plane},
            "etcd": {"hosts": control_plane},
            "kube_node": {"hosts": workers},
            "k8s_cluster": {
                "children": ["kube_control_plane", "kube_node"],
                # lab.yaml has three at most, as many as the C library reads (resolv.conf(5)).
                "vars": {**DISKLESS, "upstream_dns_servers": [str(address) for address in lab.network.dns]},
            },
        }
    return {"_meta": {"hostvars": variables}, "all": {"children": ["ungrouped", *groups]}, **groups}


def _variables(machine: Machine, stage: Stage | None, access: Access, kind: Format) -> dict[str, Any]:
    options = ssh.checking(machine, access.known_hosts)
    if access.netns is not None:
        options += ["-o", f"ProxyCommand=ip netns exec {access.netns} socat - TCP4:%h:%p"]
    found: dict[str, Any] = {
        "ansible_host": str(machine.address),
        "ansible_user": ssh.USER,
        "ansible_ssh_common_args": shlex.join(options),
        "nodisk_mac": str(machine.mac),
        "nodisk_role": str(machine.role),
        "nodisk_stage": None if stage is None else str(stage),
    }
    if access.key is not None:
        found["ansible_ssh_private_key_file"] = str(access.key)
    if kind is Format.KUBESPRAY:
        found |= {"ip": str(machine.address), "access_ip": str(machine.address)}
        if machine.role is Role.CONTROL_PLANE:
            found["etcd_member_name"] = str(machine.name)
    return found


def of_room(context: LabContext, kind: Format) -> dict[str, Any]:
    """The inventory with what the lab's records know; the known_hosts file that it names is rewritten."""
    stages, hosts = dict[str, Stage | None](), ""
    with Database(context.state.database, reading=True) as database:
        for machine in context.lab.machines:
            events = database.events(mac=machine.mac, kinds=(Kind.STAGE,), limit=500)
            stages[str(machine.name)] = progress(events).stage
            hosts += ssh.known_hosts(machine, database.host_keys(machine.mac))
    access = Access(context.state.run / "ssh" / "known_hosts", ssh.own_key(context), context.netns)
    if hosts:
        files.write(access.known_hosts, hosts)
    return inventory(context.lab, stages, access, kind)
