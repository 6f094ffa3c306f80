"""iPXE's binaries for every kind of firmware, from Debian's package, and the folder that dnsmasq serves by TFTP.

From one suite, whatever Debian the server runs: Debian 12's iPXE dates from 2019 and lacks drivers of newer NICs.
"""

from __future__ import annotations

from pathlib import Path

from nodisk.assets import debs
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.store import Manifest, Store
from nodisk.assets.work import Work
from nodisk.spec.model_os import Suite

PROGRAMS = ("undionly.kpxe", "ipxe.efi", "snponly.efi", "ipxe-arm64.efi")
"""BIOS, UEFI with iPXE's own drivers, UEFI with the firmware's driver, UEFI on 64-bit ARM (which says that there is no
image for it yet)."""
SUITE = Suite.TRIXIE


def recipe(os_mirror: str | None) -> Recipe:
    """iPXE's binaries; the mirror decides the package's version."""

    async def build(work: Work, _: Step, folder: Path) -> Made:
        wanted = {name: f"usr/lib/ipxe/{name}" for name in PROGRAMS}
        version, content = await debs.extract_of(SUITE, work, "ipxe", wanted, folder, os_mirror=os_mirror)
        content = {name: path.resolve() for name, path in content.items()}
        return Made(name="iPXE", version=version, content=content, facts={})

    inputs = {"recipe": 3, "package": "ipxe", "suite": SUITE.value}
    return Recipe(kind="ipxe", what="iPXE", inputs=inputs, build=build, loads="iPXE")


def tftp_root(store: Store, manifest: Manifest) -> Path:
    """A folder with the binaries under their names."""
    return store.tree(manifest, [ref.name for ref in manifest.files])
