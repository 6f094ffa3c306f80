"""How a machine's RAM is shared out: sizes of its tmpfs, and what kubelet keeps free.

Everything that a diskless machine writes is RAM. A tmpfs takes only what is in it, so its size is a cap: it keeps one
greedy pod from taking the machine down.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine
from nodisk.values import Role

ASSUMED = {Role.CONTROL_PLANE: 2048, Role.WORKER: 1024}
"""MiB of a machine whose memory lab.yaml doesn't say: the least that its role needs."""


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """Caps in MiB."""

    overlay: int
    """What is written over the read-only root."""
    containerd: int
    """Container images and their writable layers."""
    kubelet: int
    """emptyDir volumes, logs of pods, secrets."""
    journal: int
    """systemd's journal."""


def tmpfs(lab: Lab, facts: Facts, machine: Machine) -> Tmpfs:
    """The caps for one machine."""
    del lab
    images = sum(image.unpacked for image in facts.release.images) // 2**20 if machine.role is Role.CONTROL_PLANE else 0
    total = machine.memory.mib if machine.memory is not None else ASSUMED[machine.role]
    return Tmpfs(
        overlay=max(96, total // 8),
        # The control plane's own images, unpacked and still packed, besides what pods bring.
        containerd=max(192, total // 2, images * 3 // 2 + total // 4),
        kubelet=max(96, total // 4),
        journal=16 if total < 4096 else 32,
    )


@dataclass(frozen=True, slots=True)
class Reserve:
    """What pods may not have, in MiB."""

    system: int
    """systemd, sshd, the root's tmpfs."""
    kube: int
    """kubelet, containerd, kube-proxy."""
    eviction: int
    """kubelet evicts pods when less than this is available."""


def reserve(facts: Facts, machine: Machine) -> Reserve:
    """What is kept from pods on one machine: the rootfs in RAM belongs to the system."""
    rootfs = facts.image.rootfs.size // 2**20
    total = machine.memory.mib if machine.memory is not None else ASSUMED[machine.role]
    return Reserve(system=64 + rootfs, kube=128, eviction=max(64, min(256, total // 16)))
