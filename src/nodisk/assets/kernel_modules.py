"""Which of Debian's kernel modules a node image has: all except those that no diskless node uses, plus dependencies.

Pure: modules are named by their path below ``/lib/modules/VERSION``, as in ``modules.dep`` (depmod(8)), whose lines
list all direct and indirect dependencies of a module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import PurePosixPath

from nodisk.errors import IntegrityError

Needs = Mapping[str, tuple[str, ...]]
"""Module → every module that it needs."""

_RADIO = "a node has no radio"
_OLD = "networks that no room has today, and from which no firmware boots"
LEFT_OUT: Mapping[str, str] = {
    "drivers/net/wireless": _RADIO,
    "drivers/net/wwan": _RADIO,
    "drivers/net/hamradio": _RADIO,
    "drivers/net/ieee802154": _RADIO,
    "drivers/bluetooth": _RADIO,
    "drivers/nfc": _RADIO,
    "net/bluetooth": _RADIO,
    "net/mac80211": _RADIO,
    "net/wireless": _RADIO,
    "net/nfc": _RADIO,
    "net/6lowpan": _RADIO,
    "net/ieee802154": _RADIO,
    "net/mac802154": _RADIO,
    "net/batman-adv": _RADIO,
    "drivers/net/can": "a vehicle bus",
    "net/can": "a vehicle bus",
    "drivers/net/arcnet": _OLD,
    "drivers/net/fddi": _OLD,
    "drivers/net/hippi": _OLD,
    "drivers/net/plip": _OLD,
    "drivers/net/slip": _OLD,
    "drivers/net/wan": _OLD,
    "drivers/atm": _OLD,
    "drivers/usb/atm": _OLD,
    "drivers/isdn": _OLD,
    "drivers/pcmcia": _OLD,
    "drivers/net/ethernet/8390/axnet_cs.ko": _OLD,
    "drivers/net/ethernet/8390/pcnet_cs.ko": _OLD,
    # It also claims adapters that speak CDC Ethernet, if it happens to be loaded first, and gives them a random MAC.
    "drivers/net/usb/cdc_subset.ko": "cables between two computers, without a MAC of their own",
    "net/atm": _OLD,
    "net/appletalk": _OLD,
    "net/ax25": _OLD,
    "net/rose": _OLD,
    "net/netrom": _OLD,
    "net/lapb": _OLD,
    "net/x25": _OLD,
    **dict.fromkeys(("sound", "drivers/soundwire", "drivers/media"), "a node plays and records nothing"),
    **dict.fromkeys(("drivers/gpu", "drivers/video", "drivers/accel"), "a node only uses the firmware's screen"),
    **dict.fromkeys(
        ("drivers/input/joystick", "drivers/input/touchscreen", "drivers/input/tablet", "drivers/hid/amd-sfh-hid"),
        "a keyboard is enough",
    ),
    **dict.fromkeys(
        ("drivers/iio", "drivers/staging", "drivers/comedi", "drivers/parport", "drivers/w1", "drivers/gnss"),
        "sensors, instruments and experiments",
    ),
    **dict.fromkeys(
        ("drivers/infiniband", "drivers/rapidio", "drivers/ntb", "net/smc", "net/rds"), "networks of supercomputers"
    ),
    **dict.fromkeys(
        ("drivers/mtd", "drivers/firewire", "drivers/usb/gadget"), "a PC has none, or a node doesn't act as one"
    ),
    "drivers/platform/surface": "for tablets",
    **dict.fromkeys(("net/tipc", "net/sctp", "net/dccp"), "protocols that Kubernetes' networks don't use here"),
    **dict.fromkeys(
        ("drivers/target", "drivers/nvme/target", "drivers/block/drbd", "fs/nfsd", "fs/smb/server"),
        "a node gives no disks or files to others",
    ),
    **dict.fromkeys(("drivers/md/bcache", "drivers/md/dm-vdo"), "a PC's disk is not part of such an array"),
    **dict.fromkeys(
        (
            f"drivers/scsi/{name}"
            for name in (
                *("bfa", "bnx2fc", "bnx2i", "csiostor", "cxgbi", "elx", "fcoe", "fnic", "libfc", "lpfc", "mpi3mr"),
                *("qedf", "qedi", "qla2xxx", "qla4xxx"),
            )
        ),
        "storage networks and arrays of data centres",
    ),
    **dict.fromkeys(("net/sunrpc/xprtrdma", "drivers/nvme/host/nvme-rdma"), "networks of supercomputers"),
    # ext4, xfs, btrfs, FAT and NTFS stay: a room's disks may be mounted by a unit in lab.yaml.
    **dict.fromkeys(
        (
            *(
                "fs/ocfs2",
                "fs/gfs2",
                "fs/dlm",
                "fs/jfs",
                "fs/reiserfs",
                "fs/hfs",
                "fs/hfsplus",
                "fs/ufs",
                "fs/bcachefs",
            ),
            *("fs/afs", "fs/coda", "fs/orangefs", "fs/jffs2", "fs/ubifs", "fs/f2fs", "fs/nilfs2", "fs/affs", "fs/befs"),
            *("fs/bfs", "fs/efs", "fs/minix", "fs/omfs", "fs/qnx4", "fs/qnx6", "fs/romfs", "fs/sysv", "fs/freevxfs"),
        ),
        "no PC's disk has such a file system",
    ),
}
"""Folder below ``kernel/`` (or the beginning of a file's path) → why a node has no modules from it."""


def parse(modules_dep: str) -> dict[str, tuple[str, ...]]:
    """Parse a ``modules.dep``."""
    found = {}
    for line in modules_dep.splitlines():
        module, colon, needs = line.partition(":")
        if colon:
            found[module] = tuple(needs.split())
    return found


def reason(module: str) -> str | None:
    """Why a module is left out; None: it stays."""
    path = module.removeprefix("kernel/")
    return next((why for place, why in LEFT_OUT.items() if path.startswith((f"{place}/", f"{place}."))), None)


def kept(needs: Needs) -> set[str]:
    """The modules that stay: all without a reason against them, and their dependencies, whatever their folder."""
    wanted = {module for module in needs if reason(module) is None}
    return wanted.union(*(needs[module] for module in wanted))


def name(module: str) -> str:
    """``kernel/drivers/net/ethernet/intel/ice/ice.ko.xz`` → ``ice``: what lsmod and modprobe call it."""
    return PurePosixPath(module).name.partition(".ko")[0].replace("-", "_")


def missing_network_drivers(needs: Needs, there: Set[str]) -> dict[str, str]:
    """Every network driver of the kernel that is not among the modules ``there`` → why."""
    return {
        name(module): reason(module) or "no module that stays needs it"
        for module in sorted(needs)
        if module.startswith("kernel/drivers/net/") and module not in there
    }


def refuse_unmet(needs: Needs, there: Iterable[str], where: str) -> None:
    """Raise IntegrityError if a module that is ``there`` lacks a dependency."""
    present = {name(module) for module in there}
    unmet = [
        f"{name(module)} needs {name(need)}"
        for module in sorted(needs)
        if name(module) in present
        for need in needs[module]
        if name(need) not in present
    ]
    if unmet:
        raise IntegrityError(f"{where} lacks kernel modules: {'; '.join(unmet[:10])}", hint="this is a bug in nodisk")
