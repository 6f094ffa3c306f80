"""Which releases of Kubernetes nodisk supports, what each source provides, and which Debian suits which release.

Containerd: a kubelet before 1.23 speaks only CRI v1alpha2, which containerd 2 no longer has; from 1.37 on
containerd 2 is required (docs/explanation/dependencies.md says why). Debian 12 and 13 have containerd 1, later suites
have 2.
"""

from __future__ import annotations

from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.spec.model_os import Suite
from nodisk.values import KubeVersion

OLDEST = KubeVersion(1, 20)
NEWEST = KubeVersion(1, 37)
PROVED = KubeVersion(1, 36)
"""The newest line that has been booted and proved; the default for a lab.yaml without a version."""
DEBIAN = KubeVersion(1, 20, 2)
"""The only release that Debian's source package provides."""

_CONTAINERD_1 = (Suite.TRIXIE, Suite.BOOKWORM)
_CONTAINERD_2 = (Suite.FORKY, Suite.SID)


def known(version: KubeVersion) -> bool:
    """Whether nodisk renders configuration for this release."""
    return OLDEST.line <= version.line <= NEWEST.line


def is_proved(version: KubeVersion) -> bool:
    """Whether this line, or a newer one, has been booted and proved."""
    return version.line <= PROVED.line


def caution(version: KubeVersion) -> str | None:
    """The word that a release newer than the proved ones goes with, if this is one."""
    return None if is_proved(version) else f"newer than {PROVED}, the newest line that nodisk has been proved with"


def is_debian(version: KubeVersion) -> bool:
    """Whether ``version`` matches what Debian's source provides, with its patch number or without."""
    return version in (DEBIAN, KubeVersion(DEBIAN.major, DEBIAN.minor))


def suites(version: KubeVersion) -> tuple[Suite, ...]:
    """The Debian suites whose containerd suits this release, the preferred one first."""
    if version.line >= (1, 37):
        return _CONTAINERD_2
    if version.line < (1, 23):
        return _CONTAINERD_1
    return (*_CONTAINERD_1, *_CONTAINERD_2)


def suite(lab: Lab, version: KubeVersion | None = None) -> Suite:
    """The suite of the lab's node image: what lab.yaml says, else the preferred one of the release.

    ``version`` is the release's real version, once known; else the one that lab.yaml asks for.
    """
    if lab.os.suite is not None:
        return lab.os.suite
    wanted = version or lab.kubernetes.version or (DEBIAN if lab.kubernetes.source is Source.DEBIAN else None)
    return suites(wanted)[0] if wanted else Suite.TRIXIE
