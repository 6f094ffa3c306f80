"""What the server whose power is cut boots from: Debian on a disk, made once, and this checkout beside it.

Debian is unpacked by the project's own recipe (``assets.compile_root``: mmdebstrap, the host's mirror). The project and
the Python packages that it needs are copied from the environment that runs this, so the guest is the Debian that has
this Python's version.
"""

from __future__ import annotations

import asyncio
import compileall
import py_compile
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from nodisk import run
from nodisk.assets import compile_root
from nodisk.assets.hashes import key_of
from nodisk.assets.progress import Board
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.check.tools import TOOLS
from nodisk.errors import EnvironmentProblem
from nodisk.spec.model_os import Suite
from nodisk.state import State

ROOT = Path(__file__).parents[2]
SUITES = {(3, 11): Suite.BOOKWORM, (3, 13): Suite.TRIXIE}
"""Which Debian has this Python."""
GUEST = ("linux-image-cloud-amd64", "initramfs-tools", "python3", "e2fsprogs", "kmod", "mount", "netbase")
"""What makes it a machine that runs Python."""
MORE = (
    "restic",
    "etcd-client",
    "libnginx-mod-stream",
    "nfs-ganesha",
    "nfs-ganesha-vfs",
    "libnfs-utils",
    "iputils-ping",
)
"""What a server has besides the programs that ``nodisk check`` names, and the NFS client's library."""
SIZE = "6G"
"""Of the disk. It is sparse, and so are its copies: what is used is about one."""
CODE = "/opt/nodisk"
"""Where the guest mounts this checkout."""
MODULES = ("virtio_console", "virtio_rng", "squashfs", "loop")
INIT = f"""\
#!/bin/sh
# The first process of the guest: no services, only what the test starts. Its end is the kernel's, and so QEMU's.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TZ=UTC
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={CODE}/src:{CODE}:{CODE}/packages
mkdir -p /dev/pts /dev/shm {CODE}
ln -sf /proc/self/mounts /etc/mtab
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
modprobe -a {" ".join(MODULES)}
mount -t squashfs -o ro /dev/vdb {CODE}
cd {CODE} && python3 -m tests.support.power_guest </dev/null >/dev/console 2>&1
"""


@dataclass(frozen=True, slots=True)
class Image:
    """The files of a guest that has never run."""

    disk: Path
    kernel: Path
    initramfs: Path

    @classmethod
    def of(cls, folder: Path) -> Image:
        """Those in a folder."""
        return cls(folder / "disk.img", folder / "vmlinuz", folder / "initramfs")


def packages() -> list[str]:
    """All Debian packages requested by name."""
    return sorted({*GUEST, *MORE, *(tool.package for tool in TOOLS if not tool.virtual_only)})


def suite(version: tuple[int, int] = sys.version_info[:2]) -> Suite:
    """The guest's Debian; raises EnvironmentProblem where none has this Python."""
    if version not in SUITES:
        raise EnvironmentProblem(
            f"the guest would run Python {version[0]}.{version[1]}, which no tested Debian has",
            hint="use the Python of Debian 12 or 13",
        )
    return SUITES[version]


def ensure(cache: Path) -> Image:
    """The image, made where it isn't there yet (two minutes, and root); ``cache``: may be deleted at any time."""
    key = key_of({"suite": suite().value, "packages": packages(), "init": INIT, "size": SIZE})
    folder = cache / f"power-guest-{key}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="power-guest-") as work:
            Path(work).chmod(0o755)  # apt's own user reads in it
            _make(Path(work)).rename(folder)
    return Image.of(folder)


def _make(work: Path) -> Path:
    root, state = work / "root", State(work / "state")
    tools = Work(state, Store(state), Board(None))
    asyncio.run(compile_root.unpack(tools, root, suite(), packages(), None, log="power-guest"))
    init = root / "sbin/power-guest"
    init.write_text(INIT)
    init.chmod(0o755)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/hostname").write_text("server\n")
    (root / "etc/resolv.conf").write_text("")
    made = work / "made"
    made.mkdir()
    image = Image.of(made)
    for pattern, to in (("vmlinuz-*", image.kernel), ("initrd.img-*", image.initramfs)):
        (found,) = (root / "boot").glob(pattern)
        shutil.move(found, to)
    run.run(["mkfs.ext4", "-q", "-d", root, image.disk, SIZE])
    return made


def needed(names: Iterable[str]) -> set[str]:
    """These distributions of Python and all that they need here, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name)
    return found


def pack_code(work: Path) -> Path:
    """This checkout's programs and the Python packages that they need, as a squashfs; ``work`` is an empty folder.

    With Python's own compiled files, which the guest would otherwise make at every boot.
    """
    tree, packed = work / "code", work / "code.squashfs"
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    for name in needed(["nodisk"]) - {"nodisk"}:
        for file in metadata.files(name) or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:  # no programs of the environment's bin
                to = tree / "packages" / file
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), to)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(tree, quiet=2, stripdir=str(tree), prependdir=CODE, invalidation_mode=unchecked)
    run.run(["mksquashfs", tree, packed, "-comp", "zstd", "-noappend", "-no-progress", "-quiet", "-all-root"])
    shutil.rmtree(tree)
    return packed
