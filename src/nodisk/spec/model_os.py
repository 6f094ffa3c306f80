"""lab.yaml's model: the machines' Linux."""

from __future__ import annotations

from enum import StrEnum

from nodisk.spec.section import Section


class ImageKind(StrEnum):
    """Which Linux the machines boot."""

    DEBIAN = "debian"
    FLATCAR = "flatcar"
    FEDORA_COREOS = "fedora-coreos"


class Suite(StrEnum):
    """Which Debian the node image is made of."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"
    FORKY = "forky"
    SID = "sid"


class Kernel(StrEnum):
    """Which of Debian's kernels: `generic` has drivers for real PCs; `cloud` is smaller, for virtual machines only."""

    GENERIC = "generic"
    CLOUD = "cloud"


class Os(Section):
    """What the machines boot."""

    image: ImageKind = ImageKind.DEBIAN
    """`debian` (built by nodisk). `flatcar` and `fedora-coreos` are recognised and refused: nodisk can't boot them."""
    suite: Suite | None = None
    """Debian's suite; absent: chosen for the release (containerd 2 is needed from Kubernetes 1.37)."""
    kernel: Kernel = Kernel.GENERIC
    """`generic` for real PCs, `cloud` (smaller) for virtual machines."""
    packages: tuple[str, ...] = ()
    """More Debian packages to put into the image."""
    firmware: tuple[str, ...] = ()
    """Debian packages with firmware that the room's NICs need, such as firmware-realtek."""
    mirror: str | None = None
    """A Debian mirror's URL; absent: the one in this host's own apt configuration."""
