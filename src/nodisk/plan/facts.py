"""What a plan needs besides lab.yaml: public facts about assets and keys. It never holds a secret."""

from __future__ import annotations

from dataclasses import dataclass

from nodisk.values import ImageRef, KubeVersion


@dataclass(frozen=True, slots=True)
class AssetRef:
    """One file of the store, as machines fetch it: ``http://SERVER`` + ``url_path``."""

    name: str
    sha256: str
    size: int

    @property
    def url_path(self) -> str:
        """The path under the server's plain HTTP root; its content never changes."""
        return f"/assets/{self.sha256}/{self.name}"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The image that machines boot."""

    kernel: AssetRef
    initramfs: AssetRef
    rootfs: AssetRef
    kernel_version: str
    """As ``uname -r`` prints it."""
    rootfs_unpacked: int
    """Bytes of the files in the squashfs."""
    containerd: str
    """Its version, such as 1.7.24; empty where there is none."""
    chunks: AssetRef | None = None
    """The hashes of the rootfs' chunks, where machines are to give them to each other."""


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """A container image of the release, as the server's registry holds it."""

    ref: ImageRef
    """As ``kubeadm config images list`` prints it: ``registry.k8s.io/kube-apiserver:v1.36.1``. The server's registry
    holds it under the same path.
    """
    unpacked: int
    """Bytes of its files, for the RAM budget; a layer that several images have in common counts in the first."""

    @classmethod
    def of(cls, name: str, unpacked: int) -> ContainerImage:
        """By its name; raises ValueError."""
        return cls(ImageRef.parse(name), unpacked)

    @property
    def name(self) -> str:
        """Its whole name."""
        return str(self.ref)

    @property
    def repository(self) -> str:
        """Where it is in the server's registry: ``kube-apiserver``."""
        return self.ref.path

    @property
    def tag(self) -> str:
        """Its tag there."""
        return self.ref.tag


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The release of Kubernetes that the image carries."""

    version: KubeVersion
    source: str
    """upstream, debian or path."""
    images: tuple[ContainerImage, ...]
    kubeadm: AssetRef
    """The kubeadm program: control planes fetch it separately, so that workers needn't hold it in RAM."""

    @property
    def has_dns(self) -> bool:
        """Whether CoreDNS is among the images (Debian's release has none)."""
        return any("coredns" in image.name for image in self.images)


@dataclass(frozen=True, slots=True)
class Facts:
    """All public inputs that are not in lab.yaml."""

    ca_pem: str
    """The lab's CA: signs the server's TLS certificates, which machines check."""
    image: ImageFacts
    cluster: ReleaseFacts | None
    """The release of Kubernetes that the image carries; None: the machines are plain Debian."""
    masked: tuple[str, ...] = ()
    """Units that stay disabled: Kubernetes' on the machines with which ``lab bench`` measures the image alone."""
    emulated: bool = False
    """Whether QEMU translates the machines' instructions: a virtual lab on a host without KVM."""

    @property
    def release(self) -> ReleaseFacts:
        """The release of a lab that has a cluster; raises LookupError for one that has none."""
        if self.cluster is None:
            raise LookupError("the machines are plain Debian: no release")
        return self.cluster
