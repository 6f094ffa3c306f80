"""The RAM budget of a diskless machine, in MiB: pure, facts in, figures out.

Two kinds of figures must not be confused. *Expected use* is added up, and decides whether a machine is large enough.
*Caps* (sizes of tmpfs) are not added up: a tmpfs takes only what is in it, and its cap keeps one greedy writer from
taking the machine down. The tmpfs sizes and kubelet's thresholds in the plan come from here.

The estimates are what is in use at Ready without users' pods; page cache is left out because the kernel gives it back.
Those for 1.20 were measured in a virtual lab and rounded up (available at Ready: 212 MiB on a worker of 512, 512 on a
control plane of 1280); those for newer releases are these plus an allowance, not measured. ``nodisk status -o json``
shows the same kinds for every machine that is Ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodisk.plan.facts import Facts
from nodisk.spec import versions
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_kubernetes import PodNetwork, Source
from nodisk.values import KubeVersion, Role

MIB = 1024 * 1024

ASSUMED_MIB = {Role.CONTROL_PLANE: 2048, Role.WORKER: 1024}
"""RAM of a machine if lab.yaml doesn't say: the least with which its role is meant to work."""

ASSUMED_ROOTFS_MIB = 130
"""Size of the node image's squashfs before one is built: the most that it is meant to become."""

ASSUMED_PODS_MIB = 96
"""The least that must be left for pods, or the machine is useless: a handful of small ones."""

COMFORT_PODS_MIB = 256
"""With less than this left for pods a machine works, but a student's first larger container evicts another's."""


KEPT = 40
"""Percent of its unpacked size that a container image takes packed, at most: by gzip 30 (Python's library) to 38 (GCC),
Go's programs 35. Where machines give layers to each other they stay beside the unpacked ones."""

PLUGINS_MIB = {PodNetwork.CALICO: 200, PodNetwork.CILIUM: 120}
"""What a pod network writes over the rootfs: its CNI plugins. Estimates; other networks' plugins are in the image."""


PODS, PROGRAMS = "pods", "your programs"
"""What the rest of a machine's RAM is for: with a cluster, and without one."""


class Verdict(StrEnum):
    """The budget's verdict on a machine."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LITTLE = "too little"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of use."""

    kind: str
    used: int
    """MiB expected in use at Ready."""
    cap: int | None = None
    """MiB it can grow to at most; None: not capped by a tmpfs."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """A machine's RAM; everything in MiB."""

    name: str
    role: Role
    total: int
    declared: bool
    """Whether lab.yaml declares the memory; otherwise it is the least for the role."""
    estimated: bool
    """Whether image and release are not built yet, so that their sizes are documented estimates."""
    rows: tuple[Row, ...]
    overlay_mib: int
    containerd_mib: int
    kubelet_mib: int
    journald_mib: int
    system_reserved_mib: int
    kube_reserved_mib: int
    eviction_hard_mib: int
    eviction_soft_mib: int
    use: str = PODS
    """What the rest is for."""

    @property
    def used(self) -> int:
        """Expected use at Ready, without pods and without the eviction reserve."""
        return sum(row.used for row in self.rows if row.kind != EVICTION)

    @property
    def free(self) -> int:
        """What ``free`` shows as available at Ready, before any user's pods."""
        return self.total - self.used

    @property
    def left(self) -> int:
        """What pods can use before kubelet evicts the first one; negative: the machine doesn't even get that far."""
        return self.free - self.eviction_hard_mib

    @property
    def verdict(self) -> Verdict:
        """Whether the machine is large enough. A control plane needs no room for users' pods."""
        least = 0 if self.role is Role.CONTROL_PLANE else ASSUMED_PODS_MIB
        if self.left < least:
            return Verdict.TOO_LITTLE
        comfort = ASSUMED_PODS_MIB if self.role is Role.CONTROL_PLANE else COMFORT_PODS_MIB
        return Verdict.TIGHT if self.left < comfort else Verdict.FITS

    @property
    def needed(self) -> int:
        """The smallest total in MiB, in steps of 256, for which the verdict would be ``fits``."""
        comfort = ASSUMED_PODS_MIB if self.role is Role.CONTROL_PLANE else COMFORT_PODS_MIB
        fixed = self.used - _grows(self.total)
        totals = (steps * 256 for steps in range(2, 1 << 20))
        reserve = _eviction if self.eviction_hard_mib else lambda _: 0
        return next(total for total in totals if total - fixed - _grows(total) - reserve(total) >= comfort)


EVICTION = "eviction reserve"


def _kernel(total: int) -> int:
    """Its own image, and 16 bytes of struct page for every 4 KiB with as much again for other tables."""
    return 40 + total // 50


_KERNEL_DATA = 100
"""With what Linux keeps free (``vm.min_free_kbytes``) and so doesn't count as available. Measured: 92 and 106."""
_OVERLAY = 4
_SYSTEM = 25


def _journald(total: int) -> int:
    return 16 if total < 4096 else 32


def _grows(total: int) -> int:
    """Use that grows with the amount of RAM."""
    return _kernel(total) + _journald(total) // 2


def _eviction(total: int) -> int:
    return max(64, min(256, total // 16))


@dataclass(frozen=True, slots=True)
class _Processes:
    """Anonymous memory of the cluster's processes on a machine, MiB, by release (measured for 1.20: 55 - 25, 334)."""

    node: int
    """kubelet, containerd, kube-proxy."""
    control_plane: int
    """API server, controller manager, scheduler, and a shim and pause process for each."""


def _processes(version: KubeVersion) -> _Processes:
    """Estimates for a class-sized cluster (tens of nodes, hundreds of pods)."""
    if version.line < (1, 24):
        return _Processes(node=55, control_plane=340)
    # The API server of 1.3x holds about a third more: more built-in types and controllers, watch caches for all.
    return _Processes(node=80, control_plane=460)


def _images_mib(version: KubeVersion) -> int:
    """The control plane's images unpacked, before the release is built."""
    return 80 if version.line < (1, 24) else 330


def expected_version(lab: Lab) -> KubeVersion:
    """The release that lab.yaml will probably get: as written, 1.20 for Debian's, or the newest proved one."""
    if lab.kubernetes.version is not None:
        return lab.kubernetes.version
    return versions.DEBIAN if lab.kubernetes.source is Source.DEBIAN else versions.PROVED


def _total(machine: Machine) -> int:
    return machine.memory.mib if machine.memory is not None else ASSUMED_MIB[machine.role]


def overlay_mib(lab: Lab, machine: Machine) -> int:
    """The cap of the tmpfs on top of the rootfs. Without a cluster it is the machine's disk, and half of the RAM."""
    total = _total(machine)
    if not lab.has_cluster:
        return max(96, total // 2)
    return max(96, total // 8) + PLUGINS_MIB.get(lab.kubernetes.network, 0)


def budget(lab: Lab, machine: Machine, facts: Facts | None = None) -> Budget:
    """The budget of one machine; without ``facts`` (nothing built yet) from documented estimates."""
    total = _total(machine)
    control_plane = machine.role is Role.CONTROL_PLANE
    if not lab.has_cluster:
        return _plain(lab, machine, facts)
    if facts is None:
        version = expected_version(lab)
        rootfs, images = ASSUMED_ROOTFS_MIB, _images_mib(version)
        largest = images // 2
    else:
        version = facts.release.version
        rootfs = _up(facts.image.rootfs.size)
        sizes = [image.unpacked for image in facts.release.images]
        images, largest = _up(sum(sizes)), _up(max(sizes, default=0))
    processes = _processes(version)
    # A worker gets of the release's images only pause (under 1 MiB) and perhaps a DNS replica.
    unpacked = images if control_plane else 2
    # containerd keeps the packed layers beside the unpacked ones until its next collection.
    packed = unpacked * 3 // 10

    plugins = PLUGINS_MIB.get(lab.kubernetes.network, 0)
    overlay = overlay_mib(lab, machine)
    # Layers are unpacked while their packed form is still there: the largest image comes on top for a moment. The rest
    # of the cap is room for the images of pods.
    room = max(160, total * 3 // 8)
    if lab.gives_layers(machine):
        room += room * KEPT // 100
    containerd = unpacked + packed + (largest // 2 if control_plane else 0) + room
    kubelet = max(96, total // 4)
    journald, eviction = _journald(total), _eviction(total)
    rows = [
        *_linux(
            total, rootfs, Row("overlay", _OVERLAY + plugins, overlay, "files written on top of the rootfs"), journald
        ),
        Row("images", unpacked + packed, containerd, "container images; the cap leaves room for the pods' images"),
        Row("kubelet's files", 4, kubelet, "emptyDir volumes, secrets, logs"),
        Row("kubelet, containerd", processes.node, note="and kube-proxy"),
    ]
    if control_plane:
        rows.append(Row("control plane", processes.control_plane, note="API server, controller manager, scheduler"))
    rows.append(Row(EVICTION, eviction, note="kubelet evicts pods before using this"))
    return Budget(
        name=str(machine.name),
        role=machine.role,
        total=total,
        declared=machine.memory is not None,
        estimated=facts is None,
        rows=tuple(rows),
        overlay_mib=overlay,
        containerd_mib=containerd,
        kubelet_mib=kubelet,
        journald_mib=journald,
        # The rootfs' pages are tmpfs: they belong to the system, and no pod may count on them.
        system_reserved_mib=_SYSTEM + _KERNEL_DATA + rootfs + _OVERLAY + plugins,
        kube_reserved_mib=processes.node,
        eviction_hard_mib=eviction,
        eviction_soft_mib=eviction * 3 // 2,
    )


def _linux(total: int, rootfs: int, overlay: Row, journald: int) -> tuple[Row, ...]:
    """What every machine has, with a cluster or without; ``journald``: the journal's cap in MiB."""
    return (
        Row("kernel", _kernel(total), note="installed RAM minus MemTotal"),
        Row("kernel's data", _KERNEL_DATA, note="slabs, page tables, stacks, device buffers"),
        Row("rootfs", rootfs, rootfs, "the squashfs, compressed"),
        overlay,
        Row("system", _SYSTEM, note="systemd, udev, journald, sshd, time"),
        Row("journal", journald // 2, journald),
    )


def _plain(lab: Lab, machine: Machine, facts: Facts | None) -> Budget:
    """Of a machine without a cluster."""
    total = _total(machine)
    rootfs = ASSUMED_ROOTFS_MIB if facts is None else _up(facts.image.rootfs.size)
    overlay, journald = overlay_mib(lab, machine), _journald(total)
    on_top = Row("overlay", _OVERLAY, overlay, "files written on top of the rootfs: what you install")
    rows = _linux(total, rootfs, on_top, journald)
    return Budget(
        name=str(machine.name),
        role=machine.role,
        total=total,
        declared=machine.memory is not None,
        estimated=facts is None,
        rows=rows,
        overlay_mib=overlay,
        # Only for what is put on them: an overlay file system can't hold a container runtime's snapshots.
        containerd_mib=max(160, total * 3 // 8),
        kubelet_mib=max(96, total // 4),
        journald_mib=journald,
        system_reserved_mib=_SYSTEM + _KERNEL_DATA + rootfs + _OVERLAY,
        kube_reserved_mib=0,
        eviction_hard_mib=0,
        eviction_soft_mib=0,
        use=PROGRAMS,
    )


def _up(size: int) -> int:
    """Bytes as MiB, rounded up."""
    return -(-size // MIB)
