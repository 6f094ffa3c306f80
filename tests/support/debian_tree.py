"""Programs and files of another Debian than this host's, for tests: unpacked, not installed, kept in the state's cache.

By the project's own way of taking files from a suite (``assets.debs``), which apt verifies.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from nodisk.assets import debs
from nodisk.assets.progress import Board
from nodisk.assets.store import Store
from nodisk.assets.work import Work
from nodisk.spec.model_os import Suite
from nodisk.state import State

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_QEMU = "usr/bin/qemu-system-x86_64"
_DATA = ("usr/share/qemu", "usr/share/seabios")
"""Where Debian 13's QEMU has firmware and option ROMs."""
_ROMS = {
    Suite.BOOKWORM: "usr/lib/ipxe/qemu/pxe-virtio.rom",
    Suite.TRIXIE: "usr/share/qemu/pxe-virtio.rom",
}


def tree(state: State, suite: Suite, package: str, has: str) -> Path:
    """A folder with the files of a package and of all that it depends on.

    Unpacked where the cache lacks it. ``has``: the path of a file in the package; raises IntegrityError if it is not.
    """
    folder = state.cache / f"tree-{suite}-{package}"
    if not folder.exists():
        state.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=state.cache, prefix=f"{folder.name}-") as name:
            Path(name).chmod(0o755)  # apt's own user reads in it
            work = Work(state, Store(state), Board(None))
            _, found = asyncio.run(debs.extract_of(suite, work, package, {has: has}, Path(name), os_mirror=None))
            found[has].parents[has.count("/")].rename(folder)
    return folder


def qemu(state: State) -> list[str]:
    """Debian 13's QEMU as the first words of a command line, for a host with an older one.

    It runs with the C library of its own Debian, by that one's loader. As the process then is the loader, QEMU can't
    tell where its files are from where it is. Devices that it has as modules of their own would be this host's, and so
    are not to be asked for (`-device help` does).
    """
    root = tree(state, Suite.TRIXIE, "qemu-system-x86", _QEMU)
    libraries = root / _LIBRARIES
    words = ["env", f"QEMU_MODULE_DIR={libraries / 'qemu'}"]
    words += [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / _QEMU)]
    for place in _DATA:
        words += ["-L", str(root / place)]
    return words


def virtio_rom(state: State, suite: Suite) -> Path:
    """The option ROM that the suite's QEMU has for virtio's NIC: iPXE."""
    return tree(state, suite, "ipxe-qemu", _ROMS[suite]) / _ROMS[suite]
