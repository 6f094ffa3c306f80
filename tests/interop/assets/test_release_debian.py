"""The programs that nodisk compiles from Debian's source: several are one, by several names."""

from __future__ import annotations

import json
import tarfile

import pytest
from tests.support import assets

from nodisk import run
from nodisk.assets import release, release_debian
from nodisk.assets.hashes import key_of
from nodisk.assets.store import Manifest, Store

pytestmark = pytest.mark.interop

TOGETHER = [("kubelet", "kube-proxy"), ("kube-apiserver", "kube-controller-manager", "kube-scheduler")]


@pytest.fixture(scope="module")
def built() -> tuple[Store, Manifest]:
    store, _ = assets.image()
    found = store.find("release", key_of(release_debian.inputs()))
    assert found is not None
    return store, found


@pytest.mark.parametrize("names", TOGETHER)
def test_one_program_is_each_by_its_name(built: tuple[Store, Manifest], names: tuple[str, ...]) -> None:
    store, manifest = built
    assert len({manifest.file(name).sha256 for name in names}) == 1
    helps = set()
    for name in names:
        program = store.path(manifest.file(name))
        assert run.run([program, "--version"]).stdout == "Kubernetes v1.20.2\n"
        helps.add(run.run([program, "--help"]).stdout)
    assert len(helps) == len(names)


def test_by_another_name_it_says_which_it_has(built: tuple[Store, Manifest]) -> None:
    store, manifest = built
    program = store.path(manifest.file("kubelet"))
    said = run.run(["bash", "-c", f"exec -a kubectl {program}"], check=False)
    assert (said.returncode, said.stderr.strip()) == (2, "call it by one of the names: kubelet kube-proxy")


def test_the_control_plane_s_images_have_one_layer(built: tuple[Store, Manifest]) -> None:
    """A machine fetches and unpacks it once, and the budget counts it once."""
    store, manifest = built
    layers, unpacked = set(), []
    for one in release.images_of(manifest):
        if one.image.ref.program == "pause":
            continue
        with tarfile.open(store.path(manifest.file(one.file))) as archive:
            member = archive.extractfile("manifest.json")
            assert member is not None
            layers.update(json.load(member)[0]["Layers"])
        unpacked.append(one.image.unpacked)
    assert len(layers) == 1
    assert unpacked == [manifest.file("kube-apiserver").size, 0, 0]
