"""The kernel's modules in an unpacked image: what no node needs is deleted, what is left is checked and described."""

from __future__ import annotations

import gzip
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

from nodisk import run
from nodisk.assets import kernel_modules, mirror, nic_drivers, sandbox, trust
from nodisk.assets.work import Work
from nodisk.errors import NodiskError
from nodisk.spec.model_os import Suite

log = logging.getLogger("nodisk.assets")

_INDEX = "dists/{suite}/non-free-firmware/Contents-all.gz"
"""Small: 30 KB for trixie. The index of main has 30 MB, and no NIC's firmware in it that counts."""
_MOST = 64 * 1024**2
"""Bytes of an unpacked index; trixie's has half a million."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What Debian's kernel had before something was taken out."""

    needs: kernel_modules.Needs
    """modules.dep."""
    devices: dict[str, tuple[str, ...]]
    """Module → the NICs (and other devices) that it names."""


def trim(root: Path) -> Whole:
    """Delete what no node needs; returns what the kernel had."""
    folder = _modules(root)
    needs = kernel_modules.parse((folder / "modules.dep").read_text(encoding="utf-8"))
    devices = nic_drivers.ids((folder / "modules.alias").read_text(encoding="utf-8"))
    for module in needs.keys() - kernel_modules.kept(needs):
        (folder / module).unlink()
    return Whole(needs, devices)


def check(whole: Whole, root: Path, initramfs: str) -> dict[str, str]:
    """See that nothing lacks what it needs, in the image and in the initramfs; returns the missing network drivers.

    ``initramfs``: the paths in it, a line each. Raises IntegrityError.
    """
    there = _there(root)
    kernel_modules.refuse_unmet(whole.needs, there, "the image")
    early = [line for line in initramfs.splitlines() if ".ko" in line]
    kernel_modules.refuse_unmet(whole.needs, early, "the initramfs")
    return kernel_modules.missing_network_drivers(whole.needs, there)


async def firmware_index(work: Work, suite: Suite, os_mirror: str | None) -> str:
    """Debian's list of all files of firmware with their packages; '' where it can't be had: it is advice, no more.

    Kept in the cache, so that a build without a network knows it too.
    """
    cached = work.state.cache / f"firmware-{suite}.gz"
    if not work.offline and (work.refresh or not cached.exists()):
        new = cached.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            url = mirror.find(os_mirror).main + _INDEX.format(suite=suite)
            argv: list[str | Path] = ["/usr/lib/apt/apt-helper", "download-file", url, new]
            await sandbox.build(argv, log_file=work.log("firmware"), env=trust.environment())
            new.replace(cached)
        except NodiskError as error:
            log.info("no index of firmware: %s", error.message)
        finally:
            new.unlink(missing_ok=True)
    try:
        with gzip.open(cached) as file:
            return file.read(_MOST).decode("utf-8", errors="replace")
    except (OSError, EOFError, zlib.error) as error:
        log.info("no index of firmware: %s", error)
        cached.unlink(missing_ok=True)
        return ""


def nic_drivers_of(whole: Whole, root: Path, contents: str) -> list[nic_drivers.Driver]:
    """The network drivers with their NICs and the firmware that the image lacks for them."""
    there = _there(root)
    names = sorted(kernel_modules.name(module) for module in there if module.startswith("kernel/drivers/net/"))
    argv: list[str | Path] = ["chroot", root, "/usr/sbin/modinfo", "--set-version", _modules(root).name, *names]
    wanted = nic_drivers.firmware(run.run(argv, env={"LC_ALL": "C.UTF-8"}).stdout) if names else {}
    return nic_drivers.table(
        needs=whole.needs,
        there=there,
        devices=whole.devices,
        wanted=wanted,
        present=[str(path.relative_to(root)) for path in (root / "usr/lib/firmware").rglob("*")],
        sources=nic_drivers.packages(contents),
    )


def _modules(root: Path) -> Path:
    """The folder of the one kernel's modules."""
    (folder,) = (root / "usr/lib/modules").iterdir()
    return folder


def _there(root: Path) -> set[str]:
    return set(kernel_modules.parse((_modules(root) / "modules.dep").read_text(encoding="utf-8")))
