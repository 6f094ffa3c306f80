"""An upgrade of booted machines to another build, the first of which fails, and the way back.

The second build is the first one's image with one file more: an OS-only upgrade, as security updates are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.driver import BOOT_WITHIN, Driver, lab_of_its_own
from tests.vm.faults import on

from nodisk import run
from nodisk.assets import built
from nodisk.assets.store import Manifest, Store

pytestmark = [pytest.mark.vm, pytest.mark.apart]

LAB = """\
name: vmtest-upgrade
network: {subnet: 10.84.0.0/24, server: 10.84.0.1}
os: {kernel: cloud}
machines:
  - {name: cp1, mac: "52:54:00:84:00:0b", address: 10.84.0.11, role: control-plane, memory: 2GiB}
  - {name: w1, mac: "52:54:00:84:00:15", address: 10.84.0.21, memory: 1GiB}
"""
WITHIN = ("--within", str(BOOT_WITHIN), "--without-backup")
IN_VAIN = 480
"""Seconds that the upgrade waits for a machine that can't come: more than an emulated one needs that can."""


def rebuilt(vm: Driver, image: Manifest, mark: str, *, breaks: bool) -> None:
    """What `nodisk build --refresh` would make: the same assets, with another root file system than ``image``'s."""
    context = vm.context()
    state, lab = context.state.state, context.lab
    made, store = built.manifests(state, lab), Store(state)
    with store.builder(), store.workspace() as work:
        tree, content = work / "root", {ref.name: work / ref.name for ref in image.files}
        run.run(["unsquashfs", "-no-progress", "-d", tree, store.path(image.file("root.squashfs"))], timeout=600)
        (tree / "etc/nodisk-build").write_text(mark)
        if breaks:
            kubelet = tree / "usr/bin/kubelet"
            kubelet.unlink()  # it is kube-proxy, too
            kubelet.write_text("#!/bin/sh\nexit 1\n")
            kubelet.chmod(0o755)
        for name, path in content.items():
            if name == "root.squashfs":
                run.run(["mksquashfs", tree, path, "-noappend", "-no-progress", "-comp", "zstd"], timeout=900)
            else:
                shutil.copyfile(store.path(image.file(name)), path)
        shutil.rmtree(tree)
        new: Manifest = store.add(
            "image", name=image.name, version=image.version, inputs=image.inputs, content=content, facts=image.facts
        )
    built.record(state, lab, {**made, "image": new}, why="a test")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with lab_of_its_own(tmp_path_factory.mktemp("vmtest-upgrade"), LAB) as driver:
        driver("lab", "up", "--no-proof", "--within", str(BOOT_WITHIN), timeout=BOOT_WITHIN + 1500)
        yield driver


@pytest.fixture(scope="module")
def first(room: Driver) -> Iterator[Manifest]:
    """The image that the machines booted first. The store has the others in its place meanwhile, a broken one too."""
    context = room.context()
    image, store = built.manifests(context.state.state, context.lab)["image"], Store(context.state.state)
    yield image
    with store.builder():
        store.restore(image)


def marks(room: Driver) -> list[str]:
    """Which build each machine runs."""
    return [on(room, name, "cat /etc/nodisk-build 2>/dev/null || echo first").strip() for name in ("cp1", "w1")]


def test_a_kubelet_that_does_not_start_goes_back_by_itself(room: Driver, first: Manifest) -> None:
    uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in room.kubectl("get", "nodes")["items"]}
    rebuilt(room, first, "broken", breaks=True)
    words = ("--within", str(IN_VAIN), "--without-backup")
    done = room("upgrade", *words, check=False, timeout=3 * BOOT_WITHIN + 600)
    assert done.returncode == 1
    assert "runs the one before again" in done.stderr
    assert marks(room) == ["first", "first"]
    assert {one["metadata"]["name"]: one["metadata"]["uid"] for one in room.kubectl("get", "nodes")["items"]} == uids
    assert json.loads(room("upgrade", "--dry-run", "-o", "json").stdout)["underway"] is True


def test_a_good_build_goes_to_all(room: Driver, first: Manifest) -> None:
    """Given up for a newer build: the same command."""
    rebuilt(room, first, "second", breaks=False)
    done = room("upgrade", *WITHIN, timeout=3 * BOOT_WITHIN + 600)
    assert "the API was away for" in done.stderr  # there is one control plane
    assert marks(room) == ["second", "second"]
    assert not Path(room.context().state.upgrade).exists()
    assert not Path(room.context().state.holds).exists()
    assert room.status()["alarms"] == 0


def test_one_machine_that_is_held_boots_what_it_has(room: Driver, first: Manifest) -> None:
    room("hold", "w1")
    rebuilt(room, first, "third", breaks=False)
    before = room.boot_ids()
    room("lab", "power", "w1", "cut")
    room("arm")
    room("lab", "power", "w1", "on")
    room.await_ready("w1", before=before)
    room("disarm")
    assert marks(room) == ["second", "second"]
