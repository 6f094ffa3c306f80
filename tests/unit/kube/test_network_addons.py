"""A published manifest gets the lab's addresses, and nothing else of it changes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodisk.errors import SpecError
from nodisk.kube import addons
from nodisk.spec.model import Lab

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "kubernetes": {"pods": "10.200.0.0/16"},
        "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
    }
)


def daemonset(name: str, container: dict[str, Any]) -> dict[str, Any]:
    pod = {"template": {"spec": {"containers": [{"name": "other"}, container]}}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": pod}


def settings(network: str) -> dict[str, Any]:
    data = {"cni-conf.json": "{}", "net-conf.json": json.dumps({"Network": network, "Backend": {"Type": "vxlan"}})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-flannel-cfg"}, "data": data}


def fitted(tmp_path: Path, name: str, *objects: dict[str, Any]) -> list[dict[str, Any]]:
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return [item for _, item in addons.of_network(LAB, [(name, file)])]


def test_flannel_gets_the_pods_range_and_the_card_towards_the_server(tmp_path: Path) -> None:
    daemon = daemonset("kube-flannel-ds", {"name": "kube-flannel", "args": ["--ip-masq", "--kube-subnet-mgr"]})
    config, flannel = fitted(tmp_path, "flannel", settings("10.244.0.0/16"), daemon)
    assert config["data"]["cni-conf.json"] == "{}"
    assert json.loads(config["data"]["net-conf.json"]) == {"Network": "10.200.0.0/16", "Backend": {"Type": "vxlan"}}
    daemon["spec"]["template"]["spec"]["containers"][1]["args"].append("--iface-can-reach=10.77.0.1")
    assert flannel == daemon


def test_calico_gets_the_pods_range_and_kubelets_address(tmp_path: Path) -> None:
    theirs = {"name": "CALICO_IPV4POOL_IPIP", "value": "Always"}
    old = {"name": "CALICO_IPV4POOL_CIDR", "value": "192.168.0.0/16"}
    daemon = daemonset("calico-node", {"name": "calico-node", "env": [theirs, old]})
    other = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "calico-node"}}
    made = fitted(tmp_path, "calico", daemon, other)
    daemon["spec"]["template"]["spec"]["containers"][1]["env"] = [
        theirs,
        {"name": "CALICO_IPV4POOL_CIDR", "value": "10.200.0.0/16"},
        {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"},
    ]
    assert made == [daemon, other]


def test_others_are_applied_as_they_are(tmp_path: Path) -> None:
    objects = [settings("10.0.0.0/8"), daemonset("cilium", {"name": "cilium-agent", "env": []})]
    assert fitted(tmp_path, "cilium", *objects) == objects


@pytest.mark.parametrize("name", ["flannel", "calico"])
@pytest.mark.parametrize(
    "item",
    [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"net-conf.json": "no JSON"}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x"}, "spec": None},
    ],
)
def test_a_manifest_without_a_place_for_it_is_refused(tmp_path: Path, name: str, item: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="no setting for the pod address range"):
        fitted(tmp_path, name, item)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n",
        "apiVersion: v1\nkind: Pod\nmetadata:\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n",
        "apiVersion: 1\nkind: Pod\nmetadata: {name: x}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: [y]}\n",
        "kind: List\nitems: [5]\n",
        "- x\n",
    ],
)
def test_what_is_no_object_is_named_by_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "tools.yaml").write_text(text)
    (tmp_path / "unreadable.yaml").mkdir()
    (tmp_path / "zz.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: good}\n")
    objects, problems = addons.read(tmp_path)
    assert [item["metadata"]["name"] for _, item in objects] == ["good"], "one file's fault is not another's"
    assert problems[0].startswith(f"{tmp_path / 'tools.yaml'} contains a document that is not a Kubernetes object")
    assert problems[1] == f"{tmp_path / 'unreadable.yaml'} can't be read: Is a directory"


def test_a_time_is_text(tmp_path: Path) -> None:
    made = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, creationTimestamp: 2026-11-24T08:00:00Z}\n---\nkind: List\n"
    (tmp_path / "tools.yaml").write_text(made)
    [(_, item)], _ = addons.read(tmp_path)
    assert item["metadata"]["creationTimestamp"] == "2026-11-24T08:00:00Z"
