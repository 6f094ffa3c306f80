"""kubelet and kube-proxy: their configurations and flags, by release.

The rules come from the components' own reference and changelogs; each gate below names the release that introduced it.
"""

from __future__ import annotations

from typing import Any

from nodisk.plan import network
from nodisk.plan.budget import budget
from nodisk.plan.documents import documents
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine, Taint, TaintEffect
from nodisk.values import KubeVersion, Role

SOCKET = "unix:///run/containerd/containerd.sock"
PKI = "/etc/kubernetes/pki"


def control_plane_taints(version: KubeVersion) -> tuple[Taint, ...]:
    """Taints that keep ordinary pods off a control-plane node: ``master`` to 1.24, ``control-plane`` from 1.24."""
    old = Taint(key="node-role.kubernetes.io/master", effect=TaintEffect.NO_SCHEDULE)
    new = Taint(key="node-role.kubernetes.io/control-plane", effect=TaintEffect.NO_SCHEDULE)
    if version.line < (1, 24):
        return (old,)
    return (old, new) if version.line == (1, 24) else (new,)


def taints(machine: Machine, version: KubeVersion) -> tuple[Taint, ...]:
    """All taints with which the node registers: each key and effect once, as in the API; lab.yaml's value wins."""
    own = control_plane_taints(version) if machine.role is Role.CONTROL_PLANE else ()
    return tuple({(taint.key, taint.effect): taint for taint in (*own, *machine.taints)}.values())


def as_objects(found: tuple[Taint, ...]) -> list[dict[str, str]]:
    """Taints as the API writes them."""
    return [
        {"key": taint.key, **({"value": taint.value} if taint.value else {}), "effect": str(taint.effect)}
        for taint in found
    ]


def kubelet_config(lab: Lab, facts: Facts, machine: Machine) -> str:
    """``KubeletConfiguration`` as YAML."""
    line = facts.release.version.line
    ram = budget(lab, machine, facts)
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Only kubeadm's control planes have the folder: kubelet logs an error every second where it doesn't exist.
        **({"staticPodPath": "/etc/kubernetes/manifests"} if machine.role is Role.CONTROL_PLANE else {}),
        # Certificates are signed at enrolment and last longer than a machine stays on.
        "tlsCertFile": f"{PKI}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet-server.key",
        "rotateCertificates": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "resolvConf": "/etc/resolv.conf",
        "clusterDomain": network.CLUSTER_DOMAIN,
        # CoreDNS, or (``cluster_dns``) the lab's server in its place.
        "clusterDNS": [str(network.dns_service(lab))],
        # As many pods as the scalability thresholds speak of: min(110, 10 a core).
        "maxPods": 110,
        "podsPerCore": 10,
        "podPidsLimit": 4096,
        "serializeImagePulls": False,
        "containerLogMaxSize": "2Mi",
        "containerLogMaxFiles": 2,
        # RAM is all there is: images go before pods do, and pods go before the machine does.
        "imageGCHighThresholdPercent": 80,
        "imageGCLowThresholdPercent": 70,
        "imageMinimumGCAge": "1m0s",
        "evictionHard": {
            "memory.available": f"{ram.eviction_hard_mib}Mi",
            "nodefs.available": "10%",
            "imagefs.available": "10%",
            # kubelet's own defaults, which end where any threshold is set. A full tmpfs has room and no inode left.
            "nodefs.inodesFree": "5%",
            "imagefs.inodesFree": "5%",
        },
        # Earlier, but with patience: a peak of a minute is no reason to lose a pod.
        "evictionSoft": {"memory.available": f"{ram.eviction_soft_mib}Mi"},
        "evictionSoftGracePeriod": {"memory.available": "1m0s"},
        "evictionMinimumReclaim": {"imagefs.available": "5%", "imagefs.inodesFree": "5%"},
        "systemReserved": {"cpu": "100m", "memory": f"{ram.system_reserved_mib}Mi"},
        "kubeReserved": {"cpu": "100m", "memory": f"{ram.kube_reserved_mib}Mi"},
        # What changes is told within seconds. The second is kubelet's own default, but not where the first is set:
        # every node would be rewritten every 5 seconds, changed or not. Whether a node lives, its lease says.
        "nodeStatusUpdateFrequency": "20s" if facts.emulated else "5s",
        "nodeStatusReportFrequency": "5m0s",
        "shutdownGracePeriod": "0s",
    }
    if line >= (1, 23):
        config["registerWithTaints"] = as_objects(taints(machine, facts.release.version))
    if line >= (1, 27):  # both were flags before; seccompDefault became stable
        config["containerRuntimeEndpoint"] = SOCKET
        config["seccompDefault"] = True
        config["maxParallelImagePulls"] = 3
    if line < (1, 21):  # the field came with the beta of graceful shutdown
        del config["shutdownGracePeriod"]
    return documents(config)


def kubelet_flags(facts: Facts, machine: Machine) -> tuple[str, ...]:
    """kubelet's command line, without the program.

    No labels: a kubelet would set them once and own them from then on. The server reconciles them with lab.yaml.
    An idle kubelet mostly measures each cgroup every ten seconds and makes its node's status. Where processors are
    emulated that is a large part of a machine: kubelet and containerd took 53 % of a processor, and 32 % with longer
    intervals (one machine, the first figure soon after its boot).
    What eviction needs is measured on demand.
    """
    line = facts.release.version.line
    flags = {
        **({"housekeeping-interval": "60s"} if facts.emulated else {}),
        "config": "/etc/kubernetes/kubelet.yaml",
        "kubeconfig": "/etc/kubernetes/kubelet.conf",
        "hostname-override": str(machine.name),
        "node-ip": str(machine.address),
    }
    if line < (1, 24):  # with dockershim gone, `remote` is the only value
        flags["container-runtime"] = "remote"
    if line < (1, 27):  # then a field of the configuration
        flags["container-runtime-endpoint"] = SOCKET
        if pause := pause_image(facts):  # keeps it from being collected; later containerd pins it itself
            flags["pod-infra-container-image"] = pause
    if line < (1, 23) and (found := taints(machine, facts.release.version)):
        flags["register-with-taints"] = ",".join(f"{taint.key}={taint.value}:{taint.effect}" for taint in found)
    return tuple(f"--{name}={value}" for name, value in sorted(flags.items()))


def pause_image(facts: Facts) -> str | None:
    """The release's sandbox image."""
    return next((image.name for image in facts.release.images if "/pause:" in image.name), None)


def kube_proxy_config(lab: Lab, facts: Facts, machine: Machine) -> str:
    """``KubeProxyConfiguration`` as YAML."""
    # nftables is stable from 1.33: one transaction a change instead of rewriting all rules.
    mode = "nftables" if facts.release.version.line >= (1, 33) else "iptables"
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": "0.0.0.0",  # noqa: S104 - NodePorts answer on every address of the machine
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"},
        "clusterCIDR": str(lab.kubernetes.pods),
        "hostnameOverride": str(machine.name),
        "mode": mode,
        # The kernel's own sizes: a class room's machine is not a gateway.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        # A change is applied at once. This is for what others did to the rules, and takes twenty programs each time:
        # on an emulated worker a ninth of all processor time was kube-proxy's children.
        mode: {"minSyncPeriod": "1s", "syncPeriod": "2m0s" if facts.emulated else "30s"},
    }
    return documents(config)
