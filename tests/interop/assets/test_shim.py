"""The chain of signatures as Debian has it: shim, GRUB, and the kernel of the node image."""

from __future__ import annotations

import pytest
from tests.support import assets

from nodisk.assets import shim, signature
from nodisk.assets.build import build
from nodisk.assets.store import Manifest, Store
from nodisk.check import loaders
from nodisk.check.findings import Level
from nodisk.spec.load import parse

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def loader() -> tuple[Store, Manifest]:
    """shim and GRUB; loaded if the store has none."""
    with assets.builder() as store:
        lab = parse(assets.LAB + "secure_boot: true\n", file=assets.state().root / "lab.yaml")
        return store, build(lab, assets.state(), only=[shim.KIND]).assets[shim.KIND]


def test_microsoft_signed_shim_and_debian_signed_grub(loader: tuple[Store, Manifest]) -> None:
    store, manifest = loader
    assert sorted(ref.name for ref in manifest.files) == ["grubx64.efi", "shimx64.efi"]
    by = {ref.name: signature.signers(store.path(ref)) for ref in manifest.files}
    assert any(name.startswith("Microsoft") and "UEFI CA" in name for name in by[shim.SHIM]), by
    assert any(name.startswith("Debian Secure Boot Signer") for name in by[shim.GRUB]), by


def test_shim_looks_for_grub_by_the_name_that_it_is_served_by(loader: tuple[Store, Manifest]) -> None:
    store, manifest = loader
    assert shim.GRUB.encode("utf-16-le") in store.path(manifest.file(shim.SHIM)).read_bytes()


def test_debian_signed_the_image_s_kernel() -> None:
    store, manifest = assets.image()
    finding = loaders.kernel_finding(store.path(manifest.file("vmlinuz")))
    assert finding.level is Level.OK, finding.message


def test_nobody_signed_ipxe() -> None:
    with assets.builder() as store:
        lab = parse(assets.LAB, file=assets.state().root / "lab.yaml")
        manifest = build(lab, assets.state(), only=["ipxe"]).assets["ipxe"]
    assert signature.signers(store.path(manifest.file("snponly.efi"))) == ()
