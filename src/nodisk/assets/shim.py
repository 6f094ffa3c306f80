"""What boots a PC whose Secure Boot is on: Microsoft signed shim, shim's own key signed GRUB and the kernel.

Both are Debian's binaries as they are, of one suite, whatever Debian the server runs. GRUB is the image for network
boot: all that it needs is inside, because Secure Boot lets it load no module.
"""

from __future__ import annotations

from pathlib import Path

from nodisk.assets import debs
from nodisk.assets.progress import Step
from nodisk.assets.recipe import Made, Recipe
from nodisk.assets.work import Work
from nodisk.spec.model_os import Suite

KIND = "shim"
SHIM = "shimx64.efi"
GRUB = "grubx64.efi"
"""The name under which shim looks for what it loads, in the folder that it came from (shim's ``DEFAULT_LOADER``)."""
SUITE = Suite.TRIXIE
_PLACES = {
    SHIM: ("shim-signed", "usr/lib/shim/shimx64.efi.signed"),
    GRUB: ("grub-efi-amd64-signed", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"),
}


def recipe(os_mirror: str | None) -> Recipe:
    """Both programs; the packages' versions are the mirror's matter.

    Building raises IntegrityError where a package lacks its program.
    """

    async def build(work: Work, _: Step, folder: Path) -> Made:
        versions, content = [], {}
        for name, (package, path) in _PLACES.items():
            version, found = await debs.extract_of(SUITE, work, package, {name: path}, folder, os_mirror=os_mirror)
            versions.append(version)
            content[name] = found[name].resolve()
        shim, grub = versions
        return Made(name="shim and GRUB", version=f"{shim}, {grub}", content=content, facts={})

    inputs = {"recipe": 1, "packages": sorted(package for package, _ in _PLACES.values()), "suite": SUITE.value}
    return Recipe(kind=KIND, what="shim and GRUB", inputs=inputs, build=build, loads="shim and GRUB")
