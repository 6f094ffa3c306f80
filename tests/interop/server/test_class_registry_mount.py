"""The class registry's file system as a server finds it that was killed, or cut off in the middle of its growth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodisk import run
from nodisk.errors import EnvironmentProblem
from nodisk.state import LabState, State
from nodisk.storage import class_registry
from nodisk.storage.volumes import MIB
from nodisk.values import Size

pytestmark = pytest.mark.interop
SMALL, LARGE = Size(16 * MIB), Size(48 * MIB)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[LabState]:
    found = State(tmp_path).lab("room")
    found.root.mkdir(parents=True)
    yield found
    assert class_registry.unmount(found) == ""


def capacity(state: LabState) -> int:
    found = os.statvfs(state.class_registry)
    return found.f_blocks * found.f_frsize


def is_reserved(state: LabState) -> bool:
    found = class_registry.file_system(state).file.stat()
    return found.st_blocks * 512 >= found.st_size


def test_what_a_killed_server_left_mounted_is_taken_over(state: LabState) -> None:
    class_registry.mount(state, SMALL)
    assert is_reserved(state)
    kept = state.class_registry / "kept"
    kept.write_text("an image")
    class_registry.mount(state, SMALL)
    with kept.open():
        class_registry.mount(state, SMALL)  # somebody still reads: it stays as it is
        assert state.class_registry.is_mount()
        with pytest.raises(EnvironmentProblem, match="busy"):
            class_registry.mount(state, LARGE)
    class_registry.mount(state, LARGE)
    assert kept.read_text() == "an image"
    assert capacity(state) >= LARGE.bytes
    assert is_reserved(state)


def test_what_is_deleted_stays_reserved(state: LabState) -> None:
    class_registry.mount(state, SMALL)
    large = state.class_registry / "large"
    large.write_bytes(os.urandom(12 * MIB))
    large.unlink()
    assert class_registry.unmount(state) == ""
    assert is_reserved(state)


@pytest.mark.parametrize("step", ["e2fsck", "resize2fs"])
def test_growth_is_taken_up_again(state: LabState, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    class_registry.mount(state, SMALL)
    (state.class_registry / "kept").write_text("an image")
    genuine = run.run

    def until_killed(argv: Any, **how: Any) -> Any:
        if argv[0] == step:
            raise Killed
        return genuine(argv, **how)

    monkeypatch.setattr(run, "run", until_killed)
    with pytest.raises(Killed):
        class_registry.mount(state, LARGE)
    monkeypatch.setattr(run, "run", genuine)
    assert not class_registry.mount(state, LARGE).problem
    assert capacity(state) >= LARGE.bytes
    assert (state.class_registry / "kept").read_text() == "an image"
