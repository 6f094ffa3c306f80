"""The room as an inventory: every machine once, in the groups of its role."""

from __future__ import annotations

import shlex
from pathlib import Path

from nodisk.machines.inventory import Access, Format, inventory
from nodisk.spec.load import parse
from nodisk.spec.model_kubernetes import Engine, Kubernetes
from nodisk.values import Stage

LAB = parse(
    """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1, dns: [10.0.0.1, 10.0.0.2, 10.0.0.3]}
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: 52:54:00:77:00:15, address: 10.77.0.21}
  - {name: w2, mac: 52:54:00:77:00:16, address: 10.77.0.22}
""",
    file=Path("lab.yaml"),
)
ACCESS = Access(Path("/state of 100%/known_hosts"), None, None)


def test_plain_groups_follow_the_roles() -> None:
    found = inventory(LAB, {"cp1": Stage.READY}, ACCESS, Format.ANSIBLE)
    assert found["control_plane"] == {"hosts": ["cp1"]}
    assert found["workers"] == {"hosts": ["w1", "w2"]}
    told = found["_meta"]["hostvars"]
    assert (told["cp1"]["nodisk_stage"], told["w1"]["nodisk_stage"]) == ("ready", None)
    assert told["w1"]["ansible_host"] == "10.77.0.21"
    assert "ansible_ssh_private_key_file" not in told["w1"]


def test_kubespray_finds_its_groups_and_the_rooms_dns() -> None:
    found = inventory(LAB, {}, ACCESS, Format.KUBESPRAY)
    assert found["kube_control_plane"] == found["etcd"] == {"hosts": ["cp1"]}
    assert found["k8s_cluster"]["children"] == ["kube_control_plane", "kube_node"]
    assert found["k8s_cluster"]["vars"]["upstream_dns_servers"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert found["_meta"]["hostvars"]["cp1"]["etcd_member_name"] == "cp1"
    assert "etcd_member_name" not in found["_meta"]["hostvars"]["w1"]


def test_ssh_checks_the_key_and_enters_the_labs_namespace() -> None:
    access = Access(ACCESS.known_hosts, Path("/keys/own"), "nodisk-room")
    told = inventory(LAB, {}, access, Format.ANSIBLE)["_meta"]["hostvars"]["w1"]
    words = shlex.split(told["ansible_ssh_common_args"])
    assert 'UserKnownHostsFile="/state of 100%%/known_hosts"' in words
    assert "StrictHostKeyChecking=yes" in words
    assert "ProxyCommand=ip netns exec nodisk-room socat - TCP4:%h:%p" in words
    assert told["ansible_ssh_private_key_file"] == "/keys/own"


def test_only_a_machine_without_kubernetes_has_python() -> None:
    plain = LAB.model_copy(update={"kubernetes": Kubernetes(engine=Engine.NONE)})
    found = [inventory(lab, {}, ACCESS, Format.ANSIBLE)["_meta"]["hostvars"]["w1"] for lab in (plain, LAB)]
    assert [one.get("ansible_python_interpreter") for one in found] == ["/usr/bin/python3", None]
