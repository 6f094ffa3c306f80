"""What differs from release to release of Kubernetes, rule by rule."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest
import yaml

from nodisk.plan import containers, kubeadm, kubelet
from nodisk.plan.facts import AssetRef, ContainerImage, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab, Machine, TaintEffect
from nodisk.values import KubeVersion

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [
            {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"},
            {
                "name": "w1",
                "mac": "52:54:00:77:00:15",
                "address": "10.77.0.21",
                "labels": {"room": "b12", "node-role.kubernetes.io/worker": "", "node.kubernetes.io/kind": "pc"},
                "taints": [{"key": "slow", "value": "yes", "effect": "NoSchedule"}],
            },
        ],
    }
)
CP, WORKER = LAB.machines


def facts(version: str, *, containerd: str = "1.7.24", images: tuple[str, ...] = ()) -> Facts:
    asset = AssetRef("file", "0" * 64, 100 << 20)
    names = (f"registry.k8s.io/kube-apiserver:v{version}.0", "registry.k8s.io/pause:3.10", *images)
    found = tuple(ContainerImage.of(name, 1 << 20) for name in names)
    image = ImageFacts(asset, asset, asset, "6.12", 300 << 20, containerd)
    return Facts("CA\n", image, ReleaseFacts(KubeVersion.parse(version + ".0"), "path", found, asset))


def config(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def flags(version: str, machine: Machine = WORKER) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in kubelet.kubelet_flags(facts(version), machine))


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("1.20", "v1beta2"),
        ("1.21", "v1beta2"),
        ("1.22", "v1beta3"),
        ("1.30", "v1beta3"),
        ("1.31", "v1beta4"),
        ("1.36", "v1beta4"),
        ("1.37", "v1beta4"),
    ],
)
def test_kubeadm_api(version: str, api: str) -> None:
    documents = config(kubeadm.config(LAB, facts(version), CP))
    assert [one["apiVersion"] for one in documents] == [f"kubeadm.k8s.io/{api}"] * 2
    args = documents[1]["controllerManager"]["extraArgs"]
    if api == "v1beta4":
        assert {"name": "leader-elect", "value": "true"} in args
    else:
        assert args["leader-elect"] == "true"


def test_the_cluster_signs_nothing() -> None:
    args = config(kubeadm.config(LAB, facts("1.36"), CP))[1]["controllerManager"]["extraArgs"]
    assert {"name": "cluster-signing-key-file", "value": ""} in args
    assert {"name": "cluster-signing-cert-file", "value": ""} in args


def test_one_control_plane_elects_as_several_do() -> None:
    """A second may start while the first runs on with what it got at its boot: both go by the same rules."""
    second = WORKER.model_copy(update={"role": CP.role})
    several = LAB.model_copy(update={"machines": (CP, second)})
    for part in ("scheduler", "controllerManager"):
        one, two = (config(kubeadm.config(lab, facts("1.30"), CP))[1][part]["extraArgs"] for lab in (LAB, several))
        assert one == two
        assert one["leader-elect"] == "true"


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("1.20", ["node-role.kubernetes.io/master"]),
        ("1.23", ["node-role.kubernetes.io/master"]),
        ("1.24", ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"]),
        ("1.25", ["node-role.kubernetes.io/control-plane"]),
        ("1.37", ["node-role.kubernetes.io/control-plane"]),
    ],
)
def test_control_plane_taints(version: str, keys: list[str]) -> None:
    assert [taint.key for taint in kubelet.control_plane_taints(KubeVersion.parse(version))] == keys


@pytest.mark.parametrize("version", ["1.20", "1.24", "1.36"])
def test_a_taint_that_lab_yaml_gives_again_is_there_once(version: str) -> None:
    """The API would refuse the node otherwise."""
    known = KubeVersion.parse(version)
    own = kubelet.control_plane_taints(known)
    other = own[0].model_copy(update={"effect": TaintEffect.NO_EXECUTE})
    valued = own[0].model_copy(update={"value": "yes"})
    machine = CP.model_copy(update={"taints": (*own, other)})
    assert kubelet.taints(machine, known) == (*own, other)
    assert kubelet.taints(CP.model_copy(update={"taints": (valued,)}), known) == (valued, *own[1:])


def test_a_node_that_does_not_change_is_not_written_every_few_seconds() -> None:
    for version in ("1.20", "1.36"):
        (found,) = config(kubelet.kubelet_config(LAB, facts(version), WORKER))
        assert (found["nodeStatusUpdateFrequency"], found["nodeStatusReportFrequency"]) == ("5s", "5m0s")


def test_an_emulated_kubelet_measures_less_often() -> None:
    emulated = replace(facts("1.20"), emulated=True)
    assert "--housekeeping-interval=60s" in kubelet.kubelet_flags(emulated, WORKER)
    assert "housekeeping-interval" not in flags("1.20")
    assert config(kubelet.kubelet_config(LAB, emulated, WORKER))[0]["nodeStatusUpdateFrequency"] == "20s"


def test_an_emulated_api_server_has_no_fairness_where_that_costs_half_of_it() -> None:
    def args(version: str, *, emulated: bool) -> str:
        return str(config(kubeadm.config(LAB, replace(facts(version), emulated=emulated), CP))[1]["apiServer"])

    assert "'enable-priority-and-fairness': 'false'" in args("1.20", emulated=True)
    assert "fairness" not in args("1.20", emulated=False)
    assert "fairness" not in args("1.25", emulated=True)


def test_kubelet_flags_that_went() -> None:
    assert flags("1.23")["container-runtime"] == "remote"
    assert "container-runtime" not in flags("1.24")
    assert flags("1.26")["container-runtime-endpoint"] == kubelet.SOCKET
    assert flags("1.26")["pod-infra-container-image"] == "registry.k8s.io/pause:3.10"
    assert flags("1.37").keys() == {"config", "kubeconfig", "hostname-override", "node-ip"}


def test_kubelet_fields_that_came() -> None:
    def fields(version: str) -> dict[str, Any]:
        found: dict[str, Any] = config(kubelet.kubelet_config(LAB, facts(version), WORKER))[0]
        return found

    assert flags("1.22")["register-with-taints"] == "slow=yes:NoSchedule"
    assert "registerWithTaints" not in fields("1.22")
    assert fields("1.23")["registerWithTaints"] == [{"key": "slow", "value": "yes", "effect": "NoSchedule"}]
    assert "register-with-taints" not in flags("1.23")
    assert "containerRuntimeEndpoint" not in fields("1.26")
    assert fields("1.27")["containerRuntimeEndpoint"] == kubelet.SOCKET
    assert fields("1.27")["seccompDefault"] is True


def test_cluster_dns_only_where_the_release_has_it() -> None:
    with_dns = facts("1.36", images=("registry.k8s.io/coredns/coredns:v1.13.1",))
    # Without CoreDNS the server answers at the same address, and only then do machines let pods ask it there.
    assert config(kubelet.kubelet_config(LAB, facts("1.36"), WORKER))[0]["clusterDNS"] == ["10.96.0.10"]
    assert "1053" in containers.firewall(LAB, names=True)
    assert "1053" not in containers.firewall(LAB, names=False)
    assert config(kubelet.kubelet_config(LAB, with_dns, WORKER))[0]["clusterDNS"] == ["10.96.0.10"]
    assert "addon,coredns" in kubeadm.phases(with_dns)
    assert "addon,coredns" not in kubeadm.phases(facts("1.36"))


def test_kube_proxy_mode() -> None:
    assert config(kubelet.kube_proxy_config(LAB, facts("1.32"), WORKER))[0]["mode"] == "iptables"
    assert config(kubelet.kube_proxy_config(LAB, facts("1.33"), WORKER))[0]["mode"] == "nftables"


def test_containerd_1_and_2() -> None:
    one = tomllib.loads(containers.containerd_config(facts("1.31")))
    two = tomllib.loads(containers.containerd_config(facts("1.37", containerd="2.1.4")))
    assert (one["version"], two["version"]) == (2, 3)
    cri = one["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    images = two["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == "registry.k8s.io/pause:3.10"
    assert images["registry"]["config_path"] == cri["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/etc/cni/net.d"}
    runtime = two["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


@pytest.mark.parametrize("containerd", ["1.7.24", "2.0.5", "2.1.4"])
@pytest.mark.parametrize("pause", [True, False])
def test_containerd_keeps_layers_only_to_give_them(containerd: str, pause: bool) -> None:
    known = facts("1.36", containerd=containerd)
    if not pause:
        known = replace(known, cluster=replace(known.release, images=()))
    for gives in (False, True):
        read = tomllib.loads(containers.containerd_config(known, gives_layers=gives))["plugins"]
        one, two = read.get("io.containerd.grpc.v1.cri", {}), read.get("io.containerd.cri.v1.images", {})
        discards = one["containerd"] if one else two
        assert discards.get("discard_unpacked_layers", False) is not gives
        assert ("image_pull_progress_timeout" in (one or two)) is gives
        assert two.get("use_local_image_pull", False) is (gives and containerd.startswith("2.1"))
        assert ("io.containerd.gc.v1.scheduler" in read) is gives
        if pause and one:
            assert one["sandbox_image"] == "registry.k8s.io/pause:3.10"


@pytest.mark.parametrize(("containerd", "key"), [("2.0.5", "bin_dir"), ("2", "bin_dir"), ("2.1.4", "bin_dirs")])
def test_plugins_folder_by_containerd(containerd: str, key: str) -> None:
    found = tomllib.loads(containers.containerd_config(facts("1.36", containerd=containerd)))
    cni = found["plugins"]["io.containerd.cri.v1.runtime"]["cni"]
    assert cni == {key: "/usr/lib/cni" if key == "bin_dir" else ["/usr/lib/cni"], "conf_dir": "/etc/cni/net.d"}
