"""Which suite a run takes when none is named, and what is said where nodisk has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodisk.assets import built, suite
from nodisk.assets.build import dry_run
from nodisk.assets.release import ReleaseImage, facts_to_json
from nodisk.assets.store import Manifest, Store
from nodisk.conformance import provided
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, UsageError
from nodisk.plan.facts import ContainerImage
from nodisk.spec.model import Lab
from nodisk.state import State

IMAGE = {"kernel_version": "6.12.0", "rootfs_unpacked": 9, "containerd": "1.7.24"}


def add(state: State, kind: str, names: list[str], facts: dict[str, Any], inputs: dict[str, Any]) -> Manifest:
    store = Store(state)
    with store.workspace() as folder:
        for name in names:
            (folder / name).write_text(kind)
        content = {name: folder / name for name in names}
        return store.add(kind, name=kind, version="1.20.2", inputs=inputs, content=content, facts=facts)


def room(tmp_path: Path, source: str) -> LabContext:
    lab = Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "machines": [{"name": "c1", "mac": "52:54:00:00:00:01", "address": "10.77.0.11", "role": "control-plane"}],
            "kubernetes": {"source": "debian"},
        }
    )
    state = State(tmp_path / "state")
    made = {
        "image": add(state, "image", ["vmlinuz", "initramfs", "root.squashfs"], IMAGE, {"kind": "image"}),
        "release": add(state, "release", ["kubectl", "kubeadm"], facts_to_json(source, []), {"kind": "release"}),
        "ipxe": add(state, "ipxe", ["ipxe.efi"], {}, {"kind": "ipxe"}),
        "containers": add(state, "containers", ["echo.tar"], facts_to_json("nodisk", []), {"kind": "containers"}),
    }
    built.record(state, lab, made, why="a test's")
    return LabContext(lab, tmp_path / "lab.yaml", state.lab("room"), None)


def test_an_official_release_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no conformance suite for Kubernetes 1\.20\.2 \(upstream\)") as caught:
        provided.find(room(tmp_path, "upstream"), make=True)
    assert "--suite FOLDER" in (caught.value.hint or "")


def test_looking_builds_nothing(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="not built yet") as caught:
        provided.find(room(tmp_path, "debian"), make=False)
    assert caught.value.hint == "nodisk build --only suite"


def test_a_built_one_is_found(tmp_path: Path) -> None:
    context = room(tmp_path, "debian")
    image = ReleaseImage(ContainerImage.of("nodisk/e2e/busybox:1.29", 1), "busybox-1.29.tar")
    names = [suite.PROGRAM, suite.REPOSITORIES, suite.IMAGES, image.file]
    made = add(context.state.state, suite.KIND, names, facts_to_json("debian", [image]), suite.inputs())
    assert provided.find(context, make=False) == made
    folder = provided.folder(context, made)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names[:3])


def test_a_build_of_a_lab_has_no_suite(tmp_path: Path) -> None:
    context = room(tmp_path, "debian")
    _, plan = dry_run(context.lab, context.state.state)
    assert suite.KIND not in [one.kind for one in plan]
    assert "release" in [one.kind for one in plan]
