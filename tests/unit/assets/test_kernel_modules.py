"""What of a kernel's modules stays: all that something needs that stays; and why each network driver goes that goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import kernel_modules
from nodisk.errors import IntegrityError

# Of Debian's 6.12, shortened.
DEP = """\
kernel/drivers/net/ethernet/intel/ice/ice.ko.xz: kernel/drivers/gnss/gnss.ko.xz kernel/drivers/ptp/ptp.ko.xz
kernel/drivers/gnss/gnss.ko.xz:
kernel/drivers/ptp/ptp.ko.xz:
kernel/drivers/net/ethernet/sfc/sfc.ko.xz: kernel/drivers/mtd/mtd.ko.xz kernel/drivers/ptp/ptp.ko.xz
kernel/drivers/mtd/mtd.ko.xz:
kernel/drivers/mtd/mtdblock.ko.xz: kernel/drivers/mtd/mtd.ko.xz
kernel/drivers/net/ethernet/broadcom/b44.ko.xz: kernel/drivers/ssb/ssb.ko.xz kernel/drivers/pcmcia/pcmcia.ko.xz
kernel/drivers/ssb/ssb.ko.xz: kernel/drivers/pcmcia/pcmcia.ko.xz
kernel/drivers/pcmcia/pcmcia.ko.xz:
kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko.xz: kernel/net/wireless/cfg80211.ko.xz
kernel/net/wireless/cfg80211.ko.xz:
kernel/drivers/net/ethernet/8390/pcnet_cs.ko.xz: kernel/drivers/pcmcia/pcmcia.ko.xz
kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/fs/btrfs/btrfs.ko.xz:
kernel/fs/hfs/hfs.ko.xz:
"""
NEEDS = kernel_modules.parse(DEP)


def test_what_kept_drivers_need_is_kept_whatever_its_folder() -> None:
    stays = {kernel_modules.name(module) for module in kernel_modules.kept(NEEDS)}
    assert stays == {"ice", "gnss", "ptp", "sfc", "mtd", "b44", "ssb", "pcmcia", "xfs", "libcrc32c", "btrfs"}


def test_each_network_driver_that_goes_has_a_reason() -> None:
    gone = kernel_modules.missing_network_drivers(NEEDS, kernel_modules.kept(NEEDS))
    assert gone.keys() == {"iwlwifi", "pcnet_cs"}
    assert gone["iwlwifi"] == "a node has no radio"
    assert all(gone.values())


def test_a_need_that_is_not_met_is_refused_by_name() -> None:
    there = kernel_modules.kept(NEEDS) - {"kernel/drivers/gnss/gnss.ko.xz"}
    with pytest.raises(IntegrityError, match="the image lacks kernel modules: ice needs gnss"):
        kernel_modules.refuse_unmet(NEEDS, there, "the image")
    kernel_modules.refuse_unmet(NEEDS, ["usr/lib/modules/6.12/kernel/drivers/ptp/ptp.ko.xz"], "the initramfs")


FOLDERS = [*kernel_modules.LEFT_OUT, "drivers/net/ethernet/intel", "drivers/ata", "fs/xfs", "lib"]


@st.composite
def kernels(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Modules in any folders, each needing some of those before it, and what those need."""
    found: dict[str, tuple[str, ...]] = {}
    for number in range(draw(st.integers(1, 30))):
        direct = draw(st.lists(st.sampled_from(sorted(found)), max_size=3)) if found else []
        needs = {*direct, *(need for module in direct for need in found[module])}
        found[f"kernel/{draw(st.sampled_from(FOLDERS))}/m{number}.ko.xz"] = tuple(sorted(needs))
    return found


@given(kernels())
def test_nothing_that_stays_lacks_anything(needs: dict[str, tuple[str, ...]]) -> None:
    stays = kernel_modules.kept(needs)
    kernel_modules.refuse_unmet(needs, stays, "the image")
    assert {module for module in needs if kernel_modules.reason(module) is None} <= stays
    text = "".join(f"{module}: {' '.join(more)}\n" for module, more in needs.items())
    assert kernel_modules.parse(text) == needs


def test_all_that_is_left_out_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/images.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for folder, why in kernel_modules.LEFT_OUT.items():
        assert any(f"`{folder}`" in row and row.endswith(f"| {why} |") for row in rows), folder
