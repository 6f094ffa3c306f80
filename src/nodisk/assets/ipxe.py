"""iPXE's programs for every kind of firmware, from Debian's package, and the folder that dnsmasq serves by TFTP.

Of one suite, whatever Debian the server runs: Debian 12's iPXE is of 2019, and lacks the drivers of newer cards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodisk.assets import debs
from nodisk.assets.store import Manifest, Store, key_of
from nodisk.assets.work import Work
from nodisk.spec.model import Suite

PROGRAMS = ("undionly.kpxe", "ipxe.efi", "snponly.efi")
"""BIOS, UEFI with iPXE's own drivers, UEFI with the firmware's driver."""
SUITE = Suite.TRIXIE


def inputs() -> dict[str, Any]:
    """What decides the asset; the package's version is the mirror's matter."""
    return {"recipe": 2, "package": "ipxe", "suite": SUITE.value}


async def build(work: Work, *, os_mirror: str | None) -> Manifest:
    """The iPXE programs in the store."""
    found = work.store.find("ipxe", key_of(inputs()))
    if found and not work.refresh:
        return found
    work.need_network("iPXE")
    with work.board.step("iPXE"), work.store.workspace() as folder:
        wanted = {name: f"usr/lib/ipxe/{name}" for name in PROGRAMS}
        version, content = await debs.extract_of(SUITE, work, "ipxe", wanted, folder, os_mirror=os_mirror)
        content = {name: path.resolve() for name, path in content.items()}
        return work.store.add("ipxe", name="iPXE", version=version, inputs=inputs(), content=content, facts={})


def tftp_root(store: Store, manifest: Manifest) -> Path:
    """A folder with the programs under their names."""
    return store.tree(manifest, [ref.name for ref in manifest.files])
