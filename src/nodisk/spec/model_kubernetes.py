"""lab.yaml's model: the release, and the cluster's inner networks."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path

from nodisk.spec.section import Section
from nodisk.values import KubeVersion


class Engine(StrEnum):
    """What makes a cluster of the machines."""

    KUBEADM = "kubeadm"  # Kubernetes, by nodisk
    NONE = "none"  # nobody: plain Debian with SSH


class Source(StrEnum):
    """Where a release of Kubernetes comes from."""

    AUTO = "auto"
    UPSTREAM = "upstream"
    DEBIAN = "debian"
    PATH = "path"


class PodNetwork(StrEnum):
    """How pods on different machines reach each other."""

    ROUTED = "routed"
    FLANNEL = "flannel"
    CALICO = "calico"
    CILIUM = "cilium"


class Policies(StrEnum):
    """Who enforces NetworkPolicies where the pods' network doesn't."""

    SERVER = "server"  # each machine, by rules that the server compiles
    CONTROLLER = "controller"  # kube-network-policies, with an official release; with Debian's nobody


class Isolation(StrEnum):
    """What is kept apart between namespaces beyond what classes always have."""

    NAMES = "names"  # students' pods don't resolve the names of others' namespaces


class NetworkManifest(Section):
    """A manifest of your own."""

    path: Path
    """A YAML file."""
    sha256: str
    """Its hash, as `sha256sum` prints it: any file other than the one you reviewed is refused."""


class Kubernetes(Section):
    """The release of Kubernetes and the cluster's inner networks."""

    engine: Engine = Engine.KUBEADM
    """`kubeadm`: nodisk makes a Kubernetes cluster of the machines. `none`: they boot plain Debian with SSH and Python,
    for whatever you install on them; every other setting of this section is then refused."""
    source: Source = Source.AUTO
    """`upstream` (official binaries), `debian` (1.20.2, built from Debian's source; for tests), `path` (a folder of
    yours), `auto` (upstream where it can be reached, else debian)."""
    version: KubeVersion | None = None
    """Such as 1.36.1; absent: the newest patch of 1.36, the newest line that nodisk has been proved with. Up to 1.37
    if requested."""
    path: Path | None = None
    """For `source: path`: a folder with bin/ and images/."""
    pods: IPv4Network = IPv4Network("10.244.0.0/16")
    """Addresses for pods; every machine gets a /24 of it."""
    services: IPv4Network = IPv4Network("10.96.0.0/16")
    """Addresses for Services."""
    network: PodNetwork = PodNetwork.ROUTED
    """How pods reach each other: `routed` needs no daemon where all machines are on one segment; `flannel` and
    `calico` by the manifest that their project publishes, of a version pinned by its hash; `cilium` publishes none
    and needs a `network_manifest`."""
    network_manifest: NetworkManifest | None = None
    """A manifest of your own for `flannel`, `calico` or `cilium`, instead of the pinned one."""
    policies: Policies | None = None
    """Who enforces NetworkPolicies with `routed` and `flannel`. `server` (with `routed`, every release): the server
    compiles them, and the machines apply them. `controller`: kube-network-policies, which only the official releases
    get. Absent: `server` with `routed`, `controller` with `flannel` or a `policies_manifest`."""
    policies_manifest: NetworkManifest | None = None
    """A manifest of your own for the controller that enforces NetworkPolicies with `routed` and `flannel`, instead of
    the pinned one, which only the official releases get."""
    isolation: Isolation | None = None
    """`names`: pods of a class resolve the names of their own namespace, and of those that are no class's, but of no
    other: see docs/explanation/names.md. It needs `network: routed` and a release without CoreDNS (`source: debian`, or
    a folder without its image). Reboot machines that run. Absent: every pod resolves all names."""
